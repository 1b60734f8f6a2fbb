//! A column type with values for it.

/// A column type, and what events give for it.
#[derive(Debug, Clone)]
pub struct Kind {
    /// The type, as SQL.
    pub sql: &'static str,
    /// The values.
    pub cases: Vec<Case>,
}

/// One value of an event.
#[derive(Debug, Clone)]
pub struct Case {
    /// As the event has it.
    pub json: String,
    /// The literal that it stands for; none if it can be none.
    pub literal: Option<String>,
}

impl Kind {
    /// A type with literals, which events give as strings.
    pub fn new(sql: &'static str, literals: &[&str]) -> Self {
        Self { sql, cases: Vec::new() }.literals(literals)
    }

    /// More literals.
    pub fn literals(mut self, literals: &[impl AsRef<str>]) -> Self {
        self.cases.extend(literals.iter().map(|literal| {
            let literal = literal.as_ref().to_owned();
            Case {
                json: serde_json::Value::from(literal.as_str()).to_string(),
                literal: Some(literal),
            }
        }));
        self
    }

    /// JSON that is its own literal: numbers, and what json and jsonb hold.
    pub fn json(mut self, values: &[impl AsRef<str>]) -> Self {
        self.cases.extend(values.iter().map(|json| {
            let json = json.as_ref().to_owned();
            Case { literal: Some(json.clone()), json }
        }));
        self
    }

    /// JSON with the literal that it stands for.
    pub fn pairs(mut self, pairs: &[(&str, &str)]) -> Self {
        self.cases.extend(pairs.iter().map(|(json, literal)| Case {
            json: (*json).to_owned(),
            literal: Some((*literal).to_owned()),
        }));
        self
    }

    /// JSON that stands for no literal of the type: 22P02.
    pub fn refused(mut self, values: &[&str]) -> Self {
        let cases = values.iter().map(|json| Case { json: (*json).to_owned(), literal: None });
        self.cases.extend(cases);
        self
    }
}

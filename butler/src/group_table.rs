//! The tables that a group of dimensions has: tags, and for calibrations validity ranges.

use crate::names;
use crate::universe::{Element, KeyType, Universe};

/// Which of a group's tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableKind {
    /// Which datasets are in which collections.
    Tags,
    /// For which times datasets are valid.
    Calibs,
}

/// A table of a group of dimensions.
#[derive(Debug, Clone)]
pub struct GroupTable {
    name: String,
    kind: TableKind,
    dimensions: Vec<Dimension>,
}

#[derive(Debug, Clone)]
struct Dimension {
    name: String,
    key_type: KeyType,
    is_governor: bool,
    /// What its own table has as key, and the columns that refer to it; none if it has no table.
    reference: Option<(Vec<String>, Vec<String>)>,
}

struct ForeignKey {
    referenced: String,
    targets: Vec<String>,
    sources: Vec<String>,
    cascades: bool,
}

impl GroupTable {
    /// The table of the group with this key and these required dimensions.
    #[must_use]
    pub fn new(kind: TableKind, key: i64, required: &[&Element], universe: &Universe) -> Self {
        let prefix = match kind {
            TableKind::Tags => "dataset_tags",
            TableKind::Calibs => "dataset_calibs",
        };
        let dimensions = required.iter().map(|element| Dimension::new(element, universe));
        Self { name: format!("{prefix}_{key:08}"), kind, dimensions: dimensions.collect() }
    }

    /// Its name, unqualified.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The names of its columns, in order.
    #[must_use]
    pub fn column_names(&self) -> Vec<String> {
        self.columns().into_iter().map(|(name, _)| name).collect()
    }

    /// The statements that make it in a schema, whose name is quoted.
    #[must_use]
    pub fn statements(&self, schema: &str) -> Vec<String> {
        let mut statements = Vec::new();
        if self.kind == TableKind::Calibs {
            statements.push(format!("create sequence {schema}.{}_seq_id", self.name));
        }
        statements.push(self.create(schema));
        if self.kind == TableKind::Calibs {
            let mut columns = self.unique_columns();
            columns.push("timespan".to_owned());
            let name = names::index(&self.name, &borrowed(&columns));
            statements.push(self.index(schema, &name, &columns));
        }
        for columns in self.indexed_columns() {
            let name = names::foreign_key_index(&self.name, &borrowed(&columns));
            statements.push(self.index(schema, &name, &columns));
        }
        statements
    }

    fn create(&self, schema: &str) -> String {
        let mut parts: Vec<String> = self
            .columns()
            .into_iter()
            .map(|(name, kind)| format!("{} {kind}", quoted(&name)))
            .collect();
        match self.kind {
            TableKind::Calibs => parts.push("primary key (id)".to_owned()),
            TableKind::Tags => {
                parts.push("primary key (dataset_id, collection_id)".to_owned());
                let columns = self.unique_columns();
                parts.push(format!(
                    "constraint {} unique ({})",
                    quoted(&names::unique(&self.name, &borrowed(&columns))),
                    list(&columns)
                ));
            }
        }
        for key in self.foreign_keys() {
            let (targets, sources) = (borrowed(&key.targets), borrowed(&key.sources));
            let name = names::foreign_key(&self.name, &key.referenced, &targets, &sources);
            parts.push(format!(
                "constraint {} foreign key ({}) references {schema}.{} ({}){}",
                quoted(&name),
                list(&key.sources),
                quoted(&key.referenced),
                list(&key.targets),
                if key.cascades { " on delete cascade" } else { "" }
            ));
        }
        format!("create table {schema}.{} ({})", self.name, parts.join(", "))
    }

    fn index(&self, schema: &str, name: &str, columns: &[String]) -> String {
        format!("create index {} on {schema}.{} ({})", quoted(name), self.name, list(columns))
    }

    fn columns(&self) -> Vec<(String, String)> {
        let mut columns = Vec::new();
        if self.kind == TableKind::Calibs {
            columns.push(("id".to_owned(), "bigint not null".to_owned()));
        }
        for (name, kind) in
            [("dataset_type_id", "bigint"), ("dataset_id", "uuid"), ("collection_id", "bigint")]
        {
            columns.push((name.to_owned(), format!("{kind} not null")));
        }
        for dimension in &self.dimensions {
            let kind = match dimension.key_type {
                KeyType::Integer => "bigint".to_owned(),
                KeyType::ShortText(length) => format!("varchar({length})"),
                KeyType::Text => "text".to_owned(),
            };
            columns.push((dimension.name.clone(), format!("{kind} not null")));
        }
        if self.kind == TableKind::Calibs {
            let kind = "int8range not null default '(,)'::int8range";
            columns.push(("timespan".to_owned(), kind.to_owned()));
        }
        columns
    }

    fn unique_columns(&self) -> Vec<String> {
        let mut columns = vec!["dataset_type_id".to_owned(), "collection_id".to_owned()];
        columns.extend(self.dimensions.iter().map(|dimension| dimension.name.clone()));
        columns
    }

    fn foreign_keys(&self) -> Vec<ForeignKey> {
        let one = |referenced: &str, target: &str, source: &str, cascades| {
            let (targets, sources) = (vec![target.to_owned()], vec![source.to_owned()]);
            ForeignKey { referenced: referenced.to_owned(), targets, sources, cascades }
        };
        let summary = |kind: &str, column: &str| {
            let columns = vec!["collection_id".to_owned(), column.to_owned()];
            ForeignKey {
                referenced: format!("collection_summary_{kind}"),
                targets: columns.clone(),
                sources: columns,
                cascades: false,
            }
        };
        let mut keys = vec![
            one("dataset_type", "id", "dataset_type_id", false),
            one("dataset", "id", "dataset_id", true),
            one("collection", "collection_id", "collection_id", true),
            summary("dataset_type", "dataset_type_id"),
        ];
        for dimension in &self.dimensions {
            if let Some((targets, sources)) = &dimension.reference {
                let (targets, sources) = (targets.clone(), sources.clone());
                let referenced = dimension.name.clone();
                keys.push(ForeignKey { referenced, targets, sources, cascades: false });
            }
            if dimension.is_governor {
                keys.push(summary(&dimension.name, &dimension.name));
            }
        }
        keys
    }

    /// The columns of foreign keys that have no index of another constraint.
    fn indexed_columns(&self) -> Vec<Vec<String>> {
        let mut indexed = match self.kind {
            TableKind::Calibs => Vec::new(),
            TableKind::Tags => vec![
                vec!["dataset_id".to_owned(), "collection_id".to_owned()],
                self.unique_columns(),
            ],
        };
        let of_constraints = indexed.len();
        for key in self.foreign_keys() {
            if !indexed.contains(&key.sources) {
                indexed.push(key.sources);
            }
        }
        indexed.split_off(of_constraints)
    }
}

impl Dimension {
    fn new(element: &Element, universe: &Universe) -> Self {
        let reference = element.keys.first().filter(|_| element.has_table).map(|key| {
            let sources: Vec<_> =
                universe.own_required(element).map(|required| required.name.clone()).collect();
            let mut targets = sources.clone();
            if let Some(own) = targets.last_mut() {
                key.name.clone_into(own);
            }
            (targets, sources)
        });
        Self {
            name: element.name.clone(),
            key_type: element.key_type(),
            is_governor: element.is_governor,
            reference,
        }
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn list(columns: &[String]) -> String {
    columns.iter().map(|column| quoted(column)).collect::<Vec<_>>().join(", ")
}

fn borrowed(columns: &[String]) -> Vec<&str> {
    columns.iter().map(String::as_str).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{GroupTable, TableKind};
    use crate::universe::tests::sample;

    /// The names that the official client gave to what it made for these groups.
    #[test]
    fn names_are_those_of_the_official_client() {
        let universe = sample();
        let schema = include_str!("../../tests/data/butler/schema.sql");
        let groups = [
            (1, vec!["detector", "visit"]),
            (2, vec!["detector", "exposure"]),
            (3, vec!["detector", "group"]),
        ];
        for (key, dimensions) in groups {
            let required = universe.required(dimensions).unwrap();
            let table = GroupTable::new(TableKind::Tags, key, &required, &universe);
            let made: BTreeSet<String> = table
                .statements("public")
                .iter()
                .flat_map(|statement| statement.split('"').skip(1).step_by(2))
                .filter(|name| name.contains(table.name()))
                .map(str::to_owned)
                .collect();
            let words =
                schema.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
            let expected: BTreeSet<String> = words
                .filter(|word| word.contains(table.name()) && *word != table.name())
                .filter(|word| !word.ends_with("_pkey"))
                .map(str::to_owned)
                .collect();
            assert_eq!(made, expected);
        }
    }

    #[test]
    fn what_has_no_table_is_not_referred_to() {
        let universe = sample();
        let required = universe.required(["htm7", "skymap", "band"]).unwrap();
        let table = GroupTable::new(TableKind::Tags, 7, &required, &universe);
        assert_eq!(table.name(), "dataset_tags_00000007");
        assert_eq!(table.column_names()[3..], ["band", "htm7", "skymap"]);
        let create = &table.statements("s")[0];
        assert!(
            create.contains("\"band\" varchar(32) not null, \"htm7\" bigint not null"),
            "{create}"
        );
        assert!(
            !create.contains("s.\"band\"") && create.contains("s.\"skymap\" (\"name\")"),
            "{create}"
        );
    }

    #[test]
    fn an_empty_group_has_three_columns() {
        let universe = sample();
        let table = GroupTable::new(TableKind::Tags, 0, &[], &universe);
        let create = &table.statements("public")[0];
        assert!(create.contains("unique (\"dataset_type_id\", \"collection_id\")"), "{create}");
        assert_eq!(table.column_names().len(), 3);
    }

    #[test]
    fn calibrations_have_a_sequence_and_a_timespan() {
        let universe = sample();
        let required = universe.required(["detector"]).unwrap();
        let statements =
            GroupTable::new(TableKind::Calibs, 4, &required, &universe).statements("public");
        assert_eq!(statements[0], "create sequence public.dataset_calibs_00000004_seq_id");
        assert!(statements[1].contains("\"timespan\" int8range not null default '(,)'::int8range"));
        assert!(statements[2].contains("\"timespan\")"), "{}", statements[2]);
    }
}

//! A setting that may stand in a file of its own: `dsn` or `dsn_file`, `password` or
//! `password_file`. A variable wins over what the configuration file says.

use super::problem::Place;
use super::reader::Reader;
use super::secret::Secret;
use super::setting::Setting;

/// A text, and where it was given.
pub struct Given {
    /// The text.
    pub text: String,
    /// The setting that gave it.
    pub name: String,
    /// Where that stands.
    pub place: Place,
}

/// As [`Given`], for what must not be shown.
pub struct GivenSecret {
    /// The secret.
    pub secret: Secret,
    /// The setting that gave it.
    pub name: String,
    /// Where that stands.
    pub place: Place,
}

/// What is wrong was taken note of.
pub struct Noted;

enum Chosen {
    Direct(Setting),
    File(Setting),
}

/// The text of `key`, or of the file that `file_key` names; none if neither is given. No message
/// holds it.
///
/// # Errors
/// If both are given, or the file can't be read.
pub fn text(
    reader: &mut Reader<'_>,
    section: &'static str,
    key: &'static str,
    file_key: &'static str,
) -> Result<Option<Given>, Noted> {
    let direct = reader.setting(section, key);
    let by_file = reader.setting(section, file_key);
    let chosen = match (direct, by_file) {
        (None, None) => return Ok(None),
        (Some(direct), None) => Chosen::Direct(direct),
        (None, Some(by_file)) => Chosen::File(by_file),
        (Some(direct), Some(by_file)) => match (&direct.place, &by_file.place) {
            (Place::Variable(_), Place::Line { .. }) => Chosen::Direct(direct),
            (Place::Line { .. }, Place::Variable(_)) => Chosen::File(by_file),
            _ => {
                let message = format!("{} and {} are both given", direct.name, by_file.name);
                reader.problem(by_file.place, message, "remove one of them");
                return Err(Noted);
            }
        },
    };
    let (Chosen::Direct(setting) | Chosen::File(setting)) = &chosen;
    let Some(text) = setting.value.text() else {
        let message = format!("{} is not a string", setting.name);
        reader.problem(setting.place.clone(), message, "give a string, between quotation marks");
        return Err(Noted);
    };
    let text = match &chosen {
        Chosen::Direct(_) => text.to_owned(),
        Chosen::File(setting) => {
            let path = reader.directory().join(text);
            std::fs::read_to_string(&path).map_err(|error| {
                let message = format!("{} names {}: {error}", setting.name, path.display());
                let advice = "name a file that the writer can read";
                reader.problem(setting.place.clone(), message, advice);
                Noted
            })?
        }
    };
    Ok(Some(Given { text, name: setting.name.clone(), place: setting.place.clone() }))
}

/// As [`text`], of a secret: without the line's end that editors leave, and never empty. None if
/// it was not given, or something is wrong with it.
pub fn secret(
    reader: &mut Reader<'_>,
    section: &'static str,
    key: &'static str,
    file_key: &'static str,
) -> Option<GivenSecret> {
    let Given { text, name, place } = text(reader, section, key, file_key).ok().flatten()?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() {
        reader.problem(place, format!("{name} is empty"), "give the password, or remove it");
        return None;
    }
    Some(GivenSecret { secret: Secret::new(text.to_owned()), name, place })
}

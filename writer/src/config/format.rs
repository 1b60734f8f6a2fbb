//! Section `[format]`.

use super::reader::Reader;
use super::value;
use crate::decode::{
    ButlerConfig, DatastoreRoot, DebeziumConfig, FormatConfig, TableRule, UNAVAILABLE_VALUE,
};

const SECTION: &str = "format";

#[derive(Clone, Copy)]
enum Kind {
    Flat,
    Rows,
    Debezium,
    Butler,
}

pub(super) fn format(reader: &mut Reader<'_>) -> Option<FormatConfig> {
    let kinds = [
        ("flat", Kind::Flat),
        ("rows", Kind::Rows),
        ("debezium", Kind::Debezium),
        ("butler", Kind::Butler),
    ];
    let kinds = kinds.map(|(word, kind)| (word, Some(kind)));
    let kind = value::choice(reader, SECTION, "kind", &kinds, None);
    if kind.is_none() && reader.setting(SECTION, "kind").is_none() {
        reader.missing(SECTION, "kind", "\"flat\" (or \"rows\", \"debezium\", \"butler\")");
    }
    // All keys are asked for whatever the kind is: one that the kind has no use for is harmless,
    // and a file may be shared by way of overrides.
    let table = value::text(reader, SECTION, "table");
    let tables = value::list(reader, SECTION, "tables");
    let unavailable_value = value::text(reader, SECTION, "unavailable_value");
    let schema = value::text(reader, SECTION, "schema");
    let datastore_name = value::text(reader, SECTION, "datastore_name");
    let datastore_root = value::text(reader, SECTION, "datastore_root");
    let convertible = value::list(reader, SECTION, "convertible_storage_classes");
    let storage_classes = value::list(reader, SECTION, "storage_classes");
    match kind? {
        Kind::Rows => Some(FormatConfig::Rows),
        Kind::Flat => {
            if table.is_none() {
                reader.missing(SECTION, "table", "\"public.sensor\"");
            }
            Some(FormatConfig::Flat { table: qualified(reader, table?)? })
        }
        Kind::Debezium => {
            if table.is_some()
                && let Some(setting) = reader.setting(SECTION, "tables")
            {
                let message = "format.table and format.tables are both given";
                reader.problem(setting.place, message, "remove one of them");
                return None;
            }
            let table = match table {
                Some(table) => Some(qualified(reader, table)?),
                None => None,
            };
            Some(FormatConfig::Debezium(DebeziumConfig {
                table,
                tables: rules(reader, &tables.unwrap_or_default())?,
                unavailable_value: unavailable_value
                    .unwrap_or_else(|| UNAVAILABLE_VALUE.to_owned()),
            }))
        }
        Kind::Butler => Some(FormatConfig::Butler(ButlerConfig {
            schema: schema.unwrap_or_else(|| "public".to_owned()),
            datastore_name: datastore_name
                .unwrap_or_else(|| "FileDatastore@<butlerRoot>".to_owned()),
            datastore_root: datastore_root.map_or(Some(DatastoreRoot::default()), |text| {
                read_datastore_root(reader, &text)
            })?,
            convertible: pairs(reader, &convertible.unwrap_or_default())?,
            storage_classes: storage_classes.unwrap_or_default(),
        })),
    }
}

fn read_datastore_root(reader: &mut Reader<'_>, text: &str) -> Option<DatastoreRoot> {
    let root = DatastoreRoot::parse(text);
    if root.is_none() {
        let setting = reader.setting(SECTION, "datastore_root")?;
        value::refuse(
            reader,
            &setting,
            "a directory without \"..\" and '%', such as \"/datastore\"",
        );
    }
    root
}

/// The table of `format.table`, which must name its schema.
fn qualified(reader: &mut Reader<'_>, table: String) -> Option<String> {
    if table.contains('.') {
        return Some(table);
    }
    let setting = reader.setting(SECTION, "table")?;
    value::refuse(reader, &setting, "a table with its schema, such as \"public.sensor\"");
    None
}

fn rules(reader: &mut Reader<'_>, texts: &[String]) -> Option<Vec<TableRule>> {
    let rules: Vec<_> = texts.iter().map(|text| text.parse::<TableRule>()).collect();
    for (text, _) in texts.iter().zip(&rules).filter(|(_, rule)| rule.is_err()) {
        let place = reader.setting(SECTION, "tables")?.place;
        reader.problem(
            place,
            format!("format.tables has \"{text}\""),
            "write \"schema.table -> schema.table\", or \"schema.* -> schema.*\" for all of a \
             schema's tables",
        );
    }
    rules.into_iter().collect::<Result<_, _>>().ok()
}

/// Pairs of storage classes, each as `A = B`.
fn pairs(reader: &mut Reader<'_>, texts: &[String]) -> Option<Vec<[String; 2]>> {
    let mut pairs = Vec::with_capacity(texts.len());
    for text in texts {
        let classes = text.split_once('=').map(|(one, other)| [one.trim(), other.trim()]);
        let is_name = |name: &&str| !name.is_empty() && !name.contains([' ', '=']);
        match classes.filter(|classes| classes.iter().all(is_name)) {
            Some(classes) => pairs.push(classes.map(str::to_owned)),
            None => {
                let place = reader.setting(SECTION, "convertible_storage_classes")?.place;
                reader.problem(
                    place,
                    format!("format.convertible_storage_classes has \"{text}\""),
                    "write \"DataFrame = ArrowTable\"",
                );
                return None;
            }
        }
    }
    Some(pairs)
}

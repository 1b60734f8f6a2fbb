//! The Butler repository of the tests' data, and its events.

use std::collections::HashMap;

use forebay_butler::Attributes;
use tokio_postgres::types::Type;

use super::target;
use crate::catalog::Catalog;
use crate::decode::{ButlerConfig, DatastoreRoot, Format, FormatConfig};

const SCHEMA: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/butler/schema.sql"));
const SAMPLE: &[u8] =
    include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/butler/events.jsonl.zst"));

/// Tables of the schema that are no targets.
const NO_TARGETS: [&str; 10] = [
    "butler_attributes",
    "collection",
    "collection_chain",
    "dataset_location_trash",
    "dataset_type",
    "dimension_graph_definition",
    "dimension_graph_key",
    "opaque_meta",
    "run",
    "collection_type",
];

/// The sample's events, one a line.
pub fn sample() -> String {
    String::from_utf8(zstd::decode_all(SAMPLE).unwrap()).unwrap()
}

/// The format `butler` into schema `public`.
pub fn butler(catalog: &Catalog) -> Format {
    let datastore_name = "FileDatastore@<butlerRoot>".to_owned();
    let config = ButlerConfig {
        schema: "public".into(),
        datastore_name,
        convertible: Vec::new(),
        datastore_root: DatastoreRoot::default(),
        storage_classes: Vec::new(),
    };
    Format::new(&FormatConfig::Butler(config), catalog).unwrap()
}

/// The targets that `forebay.butler_add_targets` registers for the schema of the tests' data.
pub fn butler_catalog() -> Catalog {
    let keys: HashMap<&str, Vec<&str>> = SCHEMA
        .split("ALTER TABLE ONLY public.")
        .skip(1)
        .filter_map(|statement| {
            let (table, rest) = statement.split_once('\n')?;
            let (_, key) = rest.split_once(';')?.0.split_once(" PRIMARY KEY (")?;
            Some((unquoted(table), key.trim_end_matches(')').split(", ").map(unquoted).collect()))
        })
        .collect();
    let mut targets = Vec::new();
    for statement in SCHEMA.split("CREATE TABLE public.").skip(1) {
        let (table, rest) = statement.split_once(" (\n").unwrap();
        let table = unquoted(table);
        let is_between_elements = table.contains("_overlap") && !table.contains("_skypix_overlap");
        if NO_TARGETS.contains(&table) || is_between_elements {
            continue;
        }
        let (columns, _) = rest.split_once("\n);").unwrap();
        let columns: Vec<_> = columns.lines().map(column).collect();
        let is_identical = table == "dataset" || table.starts_with("dataset_tags_");
        let policy = if is_identical { "identical" } else { "ignore" };
        targets.push(target(&format!("public.{table}"), &keys[table], policy, &columns));
    }
    let mut refs = vec![("id", Type::UUID)];
    refs.extend(["dataset_type", "run"].map(|name| (name, Type::TEXT)));
    refs.push(("data_id", Type::JSONB));
    refs.extend(["storage_class", "dimensions"].map(|name| (name, Type::TEXT)));
    refs.extend([("is_calibration", Type::BOOL), ("file", Type::INT4)]);
    refs.extend(
        ["file_dataset_type", "file_storage_class", "datastore_name", "path", "formatter"]
            .map(|name| (name, Type::TEXT)),
    );
    targets.push(target("forebay.butler_ref", &[], "resolve", &refs));
    let chains = [("operation", Type::TEXT), ("parent", Type::TEXT), ("children", Type::JSONB)];
    targets.push(target("forebay.butler_chain", &[], "resolve", &chains));
    Catalog::new(targets).with_butler(attributes())
}

/// What the repository says of itself.
fn attributes() -> Attributes {
    let (_, rows) = SCHEMA.split_once("COPY public.butler_attributes").unwrap();
    let lines = rows.lines().skip(1).take_while(|line| *line != "\\.");
    let pair = |line: &str| {
        let (name, value) = line.split_once('\t').unwrap();
        (name.to_owned(), value.replace("\\\\", "\\"))
    };
    Attributes::new(lines.map(pair).collect())
}

fn column(line: &str) -> (&str, Type) {
    let (name, of) = line.trim().split_once(' ').unwrap();
    let of = of.trim_end_matches(',').trim_end_matches(" NOT NULL");
    let of = match of {
        "bigint" => Type::INT8,
        "smallint" => Type::INT2,
        "boolean" => Type::BOOL,
        "double precision" => Type::FLOAT8,
        "text" => Type::TEXT,
        "uuid" => Type::UUID,
        "int8range" => Type::INT8_RANGE,
        _ if of.starts_with("character varying") => Type::VARCHAR,
        _ => panic!("{line}"),
    };
    (unquoted(name), of)
}

fn unquoted(name: &str) -> &str {
    name.trim().trim_matches('"')
}

/// The region of the event's visit: a small triangle on the equator.
pub fn butler_region() -> Vec<u8> {
    let (sine, cosine) = 0.001f64.sin_cos();
    let vertices = [[1.0, 0.0, 0.0], [cosine, sine, 0.0], [cosine, 0.0, sine]];
    let coordinates = vertices.iter().flatten().flat_map(|coordinate| coordinate.to_le_bytes());
    b"p".iter().copied().chain(coordinates).collect()
}

/// A small event with something of everything.
pub fn butler_event() -> String {
    let region = butler_region();
    let region: String = region.iter().map(|byte| format!("{byte:02x}")).collect();
    format!(
        r#"{{"type":"pp-output","extra":[1],
        "dimension_records":[
          {{"definition":"skymap","record":{{"name":"S","hash":"00ff10","tract_max":3,
            "patch_nx_max":null,"patch_ny_max":1}}}},
          {{"definition":"visit","record":{{"instrument":"Cam","id":100,"day_obs":20250101,
            "physical_filter":"r","name":"v\u0031","seq_num":1,"exposure_time":30,
            "target_name":null,"observation_reason":"x","science_program":"p","azimuth":-0.0,
            "zenith_angle":1.5e1,"region":"{region}","timespan":[5,4102444800000000000]}}}},
          {{"definition":"day_obs","record":{{"instrument":"Cam","id":20250101,"timespan":null}}}}
        ],
        "dataset_types":[{{"name":"image","storageClass":"ExposureF","dimensions":["visit","detector"]}},
          {{"name":"unused","storageClass":"X","dimensions":[]}}],
        "datasets":[
          {{"refs":{{
            "B77221EB093C525A81CDDE37F57472B9":{{"dataset_type_name":"image","run":"r/1","extra":0,
              "data_id":{{"instrument":"Cam","visit":100.0,"detector":true}}}},
            "urn:uuid:2d76fb77-8d9b-543e-bdfa-09ac9066df65":{{"dataset_type_name":"other",
              "run":"r/1","data_id":{{}}}}}},
            "path":"a/b c.fits","formatter":"lsst.F","extra":null}},
          {{"refs":{{"00000000-0000-0000-0000-000000000001":{{"dataset_type_name":"other",
            "run":"r/2","data_id":{{"group":"g\"1","instrument":"Cam"}}}}}},"path":"c","formatter":"lsst.G"}}
        ]}}"#
    )
}

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use forebay_butler::Attributes;

use crate::catalog::Catalog;
use crate::decode::{ButlerConfig, DatastoreRoot, Format, FormatConfig, FormatError};
use crate::sphgeom::Region;
use crate::testing::{
    butler, butler_catalog, butler_event, butler_region, copied, decode, decode_keyed,
    plain_catalog, sqlstate,
};

/// The SQLSTATE that the event gets when `from` in it is replaced.
fn changed(from: &str, to: &str) -> &'static str {
    let event = butler_event();
    assert_eq!(event.matches(from).count(), 1, "{from}");
    outcome(&event.replace(from, to))
}

fn outcome(event: &str) -> &'static str {
    let catalog = butler_catalog();
    sqlstate(&decode(&butler(&catalog), &catalog, event.as_bytes()))
}

fn text(text: &str) -> Option<Vec<u8>> {
    Some(text.as_bytes().to_vec())
}

fn int4(value: i32) -> Option<Vec<u8>> {
    Some(value.to_be_bytes().to_vec())
}

fn int8(value: i64) -> Option<Vec<u8>> {
    Some(value.to_be_bytes().to_vec())
}

fn float8(value: f64) -> Option<Vec<u8>> {
    Some(value.to_be_bytes().to_vec())
}

#[test]
fn dimension_records_are_rows_of_their_elements() {
    let catalog = butler_catalog();
    let batch = decode(&butler(&catalog), &catalog, butler_event().as_bytes());
    assert_eq!(batch.rejections().next(), None);
    let skymap = copied(&batch, &catalog, "public.skymap");
    let expected = vec![text("S"), text("AP8Q"), int8(3), None, int8(1)];
    assert_eq!((&skymap[0].fields, &skymap[0].given, skymap[0].row), (&expected, &None, 0));

    let visit = copied(&batch, &catalog, "public.visit");
    // +0.0, as the official client stores −0.0.
    let expected = vec![
        text("Cam"),
        int8(100),
        int8(20_250_101),
        text("r"),
        text("v1"),
        int8(1),
        float8(30.0),
        None,
        text("x"),
        text("p"),
        float8(0.0),
        float8(15.0),
    ];
    assert_eq!(visit[0].fields[..12], expected);
    let region = STANDARD.decode(visit[0].fields[12].as_ref().unwrap()).unwrap();
    assert_eq!(region, butler_region());
    let mut timespan = vec![0x12, 0, 0, 0, 8];
    timespan.extend_from_slice(&5i64.to_be_bytes());
    assert_eq!(visit[0].fields[13], Some(timespan));
    assert_eq!(copied(&batch, &catalog, "public.day_obs")[0].fields[2], None);
}

#[test]
fn numbers_may_be_not_finite() {
    let catalog = butler_catalog();
    let event = butler_event().replace(r#""azimuth":-0.0"#, r#""azimuth":-Infinity"#);
    let batch = decode(&butler(&catalog), &catalog, event.as_bytes());
    assert_eq!(batch.rejections().next(), None);
    let visit = copied(&batch, &catalog, "public.visit");
    assert_eq!(visit[0].fields[10], float8(f64::NEG_INFINITY));
    let event = butler_event().replace(r#""detector":true"#, r#""detector":NaN"#);
    let batch = decode(&butler(&catalog), &catalog, event.as_bytes());
    let (_, rejection) = batch.rejections().next().unwrap();
    assert!(rejection.message.ends_with("NaN is not an integer"), "{}", rejection.message);
}

#[test]
fn regions_and_governors_have_rows_of_their_own() {
    let catalog = butler_catalog();
    let batch = decode(&butler(&catalog), &catalog, butler_event().as_bytes());
    let pixels = Region::decode(&butler_region()).unwrap().envelope(7).unwrap();
    let pixels: Vec<_> = pixels.pixels().collect();
    assert!(!pixels.is_empty());
    let overlaps = copied(&batch, &catalog, "public.visit_skypix_overlap");
    assert_eq!(overlaps.len(), pixels.len());
    for (overlap, pixel) in overlaps.iter().zip(pixels) {
        let level = Some(7i16.to_be_bytes().to_vec());
        let pixel = int8(pixel.cast_signed());
        let expected = [text("htm"), level, text("Cam"), int8(100), pixel];
        assert_eq!(overlap.fields, expected);
    }
    for summary in ["public.patch_skypix_overlap_summary", "public.tract_skypix_overlap_summary"] {
        let summary = copied(&batch, &catalog, summary);
        assert_eq!(summary.len(), 1);
        assert_eq!(summary[0].fields[2], text("S"));
    }
    assert!(copied(&batch, &catalog, "public.visit_skypix_overlap_summary").is_empty());
}

#[test]
fn of_records_with_one_key_the_last_counts() {
    let catalog = butler_catalog();
    let record = |tract_max| {
        format!(
            r#"{{"definition":"skymap","record":{{"name":"S","hash":"00","tract_max":{tract_max},
            "patch_nx_max":1,"patch_ny_max":1}}}}"#
        )
    };
    let (first, last) = (record(1), record(2));
    let event =
        format!(r#"{{"type":"pp-output","dimension_records":[{first},{last}],"datasets":[]}}"#);
    let batch = decode(&butler(&catalog), &catalog, event.as_bytes());
    let rows = copied(&batch, &catalog, "public.skymap");
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].fields[2], int8(2));
}

#[test]
fn datasets_are_staged_as_references() {
    let catalog = butler_catalog();
    let batch = decode(&butler(&catalog), &catalog, butler_event().as_bytes());
    let refs = copied(&batch, &catalog, "forebay.butler_ref");
    let ids = refs.iter().map(|row| uuid::Uuid::from_slice(row.fields[0].as_ref().unwrap()));
    assert_eq!(
        ids.map(|id| id.unwrap().to_string()).collect::<Vec<_>>(),
        [
            "b77221eb-093c-525a-81cd-de37f57472b9",
            "2d76fb77-8d9b-543e-bdfa-09ac9066df65",
            "00000000-0000-0000-0000-000000000001"
        ]
    );
    assert_eq!(refs.iter().map(|row| row.row).collect::<Vec<_>>(), [9, 10, 11]);
    let datastore = text("FileDatastore@<butlerRoot>");
    let expected = [
        // The storage class is that of the file's first reference, for all of them.
        vec![
            text("image"),
            text("r/1"),
            text("\x01{\"instrument\":\"Cam\",\"visit\":100,\"detector\":1}"),
            text("ExposureF"),
            text("instrument,detector,visit"),
            Some(vec![0]),
            int4(0),
            text("image"),
            text("ExposureF"),
            datastore.clone(),
            text("a/b c.fits"),
            text("lsst.F"),
        ],
        vec![
            text("other"),
            text("r/1"),
            text("\x01{}"),
            None,
            None,
            None,
            int4(0),
            text("image"),
            text("ExposureF"),
            datastore.clone(),
            text("a/b c.fits"),
            text("lsst.F"),
        ],
        vec![
            text("other"),
            text("r/2"),
            text("\x01{\"group\":\"g\\\"1\",\"instrument\":\"Cam\"}"),
            None,
            None,
            None,
            int4(1),
            text("other"),
            None,
            datastore,
            text("c"),
            text("lsst.G"),
        ],
    ];
    for (row, expected) in refs.iter().zip(expected) {
        assert_eq!(row.fields[1..], expected);
        assert_eq!((&row.given, row.op), (&None, b'u'));
    }
}

#[test]
fn the_event_must_be_of_its_kind() {
    assert_eq!(changed(r#""type":"pp-output","#, ""), "22P02");
    assert_eq!(changed("pp-output", "pp-input"), "22P02");
    assert_eq!(changed(r#""dimension_records":"#, r#""records":"#), "22P02");
    assert_eq!(changed(r#""datasets":"#, r#""data":"#), "22P02");
    assert_eq!(changed(r#""extra":[1]"#, r#""type":"pp-output""#), "22030");
    assert_eq!(outcome(r#"{"type":"pp-output","dimension_records":[],"datasets":[]}"#), "");
    assert_eq!(outcome(r#"{"type":"pp-output","dimension_records":{},"datasets":[]}"#), "22P02");
    let null = r#"{"type":"pp-output","dimension_records":[],"dataset_types":null,"datasets":[]}"#;
    assert_eq!(outcome(null), "22P02");
    let catalog = butler_catalog();
    assert_eq!(sqlstate(&decode_keyed(&butler(&catalog), &catalog, Some(b"k"), None)), "22004");
}

#[test]
fn dimension_records_are_strict() {
    for (from, to, expected) in [
        (r#""tract_max":3,"#, "", "22P02"),
        (r#""tract_max":3"#, r#""tract_max":3,"x":1"#, "42703"),
        (r#""tract_max":3"#, r#""tract_max":3,"tract_max":3"#, "22030"),
        (r#""tract_max":3"#, r#""tract_max":3.0"#, "22P02"),
        (r#""tract_max":3"#, r#""tract_max":true"#, "22P02"),
        (r#""tract_max":3"#, r#""tract_max":"3""#, "22P02"),
        (r#""tract_max":3"#, r#""tract_max":9223372036854775808"#, "22003"),
        (r#""name":"S""#, r#""name":1"#, "22P02"),
        (r#""name":"S""#, r#""name":null"#, "23502"),
        (r#""name":"S""#, r#""name":"\u0000""#, "22021"),
        (r#""hash":"00ff10""#, r#""hash":"0""#, "22P02"),
        (r#""exposure_time":30"#, r#""exposure_time":"30""#, "22P02"),
        (r#""exposure_time":30"#, r#""exposure_time":true"#, "22P02"),
        (r#""exposure_time":30"#, r#""exposure_time":nan"#, "22P02"),
        (r#""exposure_time":30"#, r#""exposure_time":1e400"#, "22003"),
        (r#""region":"70"#, r#""region":"71"#, "22P02"),
        (r#""region":"70"#, r#""region":"7000"#, "22P02"),
        (r#""timespan":[5,"#, r#""timespan":[-5,"#, "22003"),
        (r#""timespan":[5,"#, r#""timespan":["5","#, "22P02"),
        (r#""timespan":null"#, r#""timespan":"[1,2)""#, "22P02"),
        (r#""definition":"skymap""#, r#""definition":"band""#, "0A000"),
        (r#""definition":"skymap""#, r#""definition":"htm7""#, "0A000"),
        (r#""definition":"skymap""#, r#""definition":"foo""#, "42P01"),
        (r#""definition":"skymap""#, r#""definition":"dataset""#, "42P01"),
        (r#""definition":"skymap""#, r#""definition":"dataset_location""#, "42P01"),
        (r#""definition":"skymap""#, r#""definition":"file_datastore_records""#, "42P01"),
        (r#""definition":"skymap""#, r#""definition":"collection_summary_skymap""#, "42P01"),
    ] {
        assert_eq!(changed(from, to), expected, "{to}");
    }
    assert_eq!(changed(r#""region":"70"#, r#""region":"7 0"#), "22P02");
    assert_eq!(changed(r#""region":"70"#, r#""region":" 70 "#), "");
}

#[test]
fn datasets_are_checked() {
    for (from, to, expected) in [
        (r#""formatter":"lsst.F""#, r#""formatter":null"#, "22004"),
        (r#""formatter":"lsst.F""#, r#""formatter":"""#, "22023"),
        (r#""formatter":"lsst.F","#, "", "22P02"),
        (r#""path":"c""#, r#""path":"/c""#, "22023"),
        (r#""path":"c""#, r#""path":"a/../c""#, "22023"),
        (r#""path":"c""#, r#""path":"c\u0000""#, "22021"),
        (r#""run":"r/2""#, r#""run":2"#, "22P02"),
        (r#""run":"r/2","#, "", "22P02"),
        (r#""storageClass":"X""#, r#""storageClass":null"#, "22P02"),
        (r#""storageClass":"ExposureF""#, r#""storageClass":"X""#, "22023"),
        (r#""name":"unused""#, r#""name":"image""#, "23505"),
        (r#""detector":true"#, r#""detector":null"#, "22P02"),
        (r#""detector":true"#, r#""detector":2.5"#, "22P02"),
        (r#""detector":true"#, r#""detector":[1]"#, "22P02"),
        (r#""detector":true"#, r#""visit":100"#, "22030"),
        (r#""detector":true"#, r#""detector":9223372036854775808"#, "22003"),
        (r#""detector":true"#, r#""detector":"\u0000""#, "22P05"),
        (r#""detector":true"#, r#""h\u0000":1"#, "22P05"),
        (r#""detector":true"#, r#""visit_definition":1"#, "22P02"),
        (r#""detector":true"#, r#""tract":1"#, "22P02"),
        (r#""dimensions":["visit","detector"]"#, r#""dimensions":["visits"]"#, "22023"),
        (r#""dimensions":["visit","detector"]"#, r#""dimensions":"visit""#, "22P02"),
        (r#""name":"image""#, r#""isCalibration":1,"name":"image""#, "22P02"),
        (r#""detector":true"#, r#""detector":"\ud800""#, "22P02"),
        ("00000000-0000-0000-0000-000000000001", "no-uuid", "22P02"),
        // The same dataset in another spelling, in another file.
        ("00000000-0000-0000-0000-000000000001", "{b77221eb-093c-525a-81cd-de37f57472b9}", "23505"),
        // A file in two runs; a file of nothing.
        (r#""run":"r/1","data_id":{}"#, r#""run":"r/2","data_id":{}"#, "22P02"),
    ] {
        let spaced = butler_event().replace("\n", "").replace("              ", "");
        assert_eq!(spaced.matches(from).count(), 1, "{from}");
        assert_eq!(outcome(&spaced.replace(from, to)), expected, "{to}");
    }
    let empty = r#"{"type":"pp-output","dimension_records":[],
        "datasets":[{"refs":{},"path":"c","formatter":"f"}]}"#;
    assert_eq!(outcome(empty), "22P02");
}

#[test]
fn says_where_the_fault_is() {
    let catalog = butler_catalog();
    let message = |event: String| {
        let batch = decode(&butler(&catalog), &catalog, event.as_bytes());
        let (_, rejection) = batch.rejections().next().unwrap();
        (rejection.message.clone(), rejection.target.clone())
    };
    let (text, target) = message(butler_event().replace(r#""tract_max":3"#, r#""tract_max":3.5"#));
    let expected = "dimension_records[0]: column \"tract_max\": a number is no value of type int8";
    assert_eq!((text.as_str(), target.as_deref()), (expected, Some("public.skymap")));
    let (text, _) = message(butler_event().replace(r#""detector":true"#, r#""detector":null"#));
    assert!(
        text.starts_with("datasets[0]: refs[\"B77221EB093C525A81CDDE37F57472B9\"]: "),
        "{text}"
    );
}

#[test]
fn resolving_needs_the_schema_and_the_references() {
    let catalog = butler_catalog();
    let resolve = butler(&catalog).resolve().unwrap();
    assert_eq!(resolve.schema, "public");
    assert_eq!(catalog.target(resolve.refs).qualified_name(), "forebay.butler_ref");
}

#[test]
fn needs_the_repositorys_targets() {
    let format = |schema: &str, catalog: &Catalog| {
        let config = ButlerConfig {
            schema: schema.into(),
            datastore_name: "d".into(),
            convertible: Vec::new(),
            datastore_root: DatastoreRoot::default(),
            storage_classes: Vec::new(),
        };
        Format::new(&FormatConfig::Butler(config), catalog).unwrap_err()
    };
    let catalog = butler_catalog();
    assert_eq!(format("other", &catalog), FormatError::NoButler("other".into()));
    let refs = "forebay.butler_ref".to_owned();
    assert_eq!(format("public", &Catalog::new(Vec::new())), FormatError::UnknownTarget(refs));
    assert!(matches!(
        format("public", &plain_catalog()),
        FormatError::Unsupported { target, .. } if target == "forebay.butler_ref"
    ));
    let without = catalog.targets().filter(|(_, target)| target.name() != "dataset");
    let without = Catalog::new(without.map(|(_, target)| target.clone()).collect());
    assert_eq!(format("public", &without), FormatError::NoButler("public".into()));
    let without = catalog.targets().filter(|(_, target)| target.name() != "visit_skypix_overlap");
    let without = Catalog::new(without.map(|(_, target)| target.clone()).collect());
    let without = without.with_butler(catalog.butler().clone());
    let missing = "public.visit_skypix_overlap".to_owned();
    assert_eq!(format("public", &without), FormatError::UnknownTarget(missing));
    let other = catalog.clone().with_butler(Attributes::default());
    assert!(matches!(format("public", &other), FormatError::UnsupportedButler { .. }));
}

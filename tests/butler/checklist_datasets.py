"""The checklist's cases about datasets, their types and their files (B, D)."""

from __future__ import annotations

import json

from checklist_case import JSON, add
from lsst.daf.butler import CollectionType

BOTH = ("instrument", "detector")
VISIT = ("instrument", "detector", "visit")

# Known and new datasets. Number 0 is in the repository, of detector 1.
add("B01", lambda c: [c.event(c.file(1))])
add("B02", lambda c: [c.event(c.file(0, detector=1))])
add("B03", lambda c: [c.event(c.file(0, detector=1, path=f"{c.name}/else.json", formatter="x.Other"))])
add("B04", lambda c: [c.event(c.file(1, detector=1))])
add("B05", lambda c: [c.event(c.file(0, detector=1, run=c.other_run))])
add("B05b", lambda c: [c.event(c.file(0, detector=1, run=f"new/{c.name}"))])
add("B06", lambda c: [c.event(c.file(0, detector=1, type="dt2"))])
add("B07", lambda c: [c.event(c.file(0, detector=1, visit=100, type="dv"))])
add("B08", lambda c: [c.event(c.file(0, detector=2))])
add("B04c", lambda c: [c.event(c.file(1)), c.event(c.file(2)), c.event(c.file(1))])
add("B08c", lambda c: [c.event(c.file(1)), c.event(c.file(1, type="dt2")), c.event(c.file(1, run=c.other_run)),
                       c.event(c.file(1, detector=1, type="dt2"))])

# Twice in one event.
add("B09", lambda c: [c.event(c.file(1), c.file(2))])
add("B10", lambda c: [c.event(c.file(1), c.file(1))])
add("B10b", lambda c: [c.event(c.file(0, detector=1), c.file(0, detector=1))])
add("B11", lambda c: [c.event(c.file(1), c.file(1, detector=1, type="dt2"))])
add("B12", lambda c: [c.event(c.file(1), c.file(1, type="dv", visit=100))])
add("B12b", lambda c: [c.event(c.file(1), c.file(2, run=c.other_run))])
add("B12c", lambda c: [c.event(c.file(0, detector=1), c.file(1, detector=1))])

# Files with several datasets.
add("B13", lambda c: [c.event(c.files({c.uuid(1): c.ref(), c.uuid(2): c.ref(type="dt2")}))])
add("B14", lambda c: [c.event(c.files({c.uuid(0): c.ref(detector=1), c.uuid(1): c.ref()}))])
add("B14b", lambda c: [c.event(c.files({c.uuid(1): c.ref(), c.uuid(0): c.ref(detector=1)}))])
add("B14c", lambda c: [c.event(c.file(1)),
                       c.event(c.files({c.uuid(1): c.ref(), c.uuid(2): c.ref(type="dt2")}))])
# The first event is refused, for its second file: so the file of the next one is not known.
add("B14d", lambda c: [c.event(c.file(1), c.file(3, detector=99)),
                       c.event(c.files({c.uuid(1): c.ref(), c.uuid(2): c.ref(type="dt2")}))])
add("B14e", lambda c: [c.event(c.files({c.uuid(1): c.ref(), c.uuid(2): c.ref(type="dt2")})),
                       c.event(c.files({c.uuid(2): c.ref(type="dt2"), c.uuid(3): c.ref(type="dict1")})),
                       c.event(c.file(3, type="dict1"))])
add("B75", lambda c: [c.event(c.files({c.uuid(1): c.ref(type="cat", visit=100), c.uuid(2): c.ref()}))])
add("B15", lambda c: [c.event(c.files({c.uuid(1): c.ref(), c.uuid(2): c.ref(type="dt2", run=c.other_run)}))])
add("B55", lambda c: [c.event(c.files({}))])
add("B50", lambda c: [c.event(types=[c.type(c.new_type(), BOTH)])])
add("B19", lambda c: [c.event(c.file(1, path=f"{c.name}/s.json"), c.file(2, type="dt2", path=f"{c.name}/s.json"))])
add("B82", lambda c: [c.event(c.file(1, path=f"{c.name}/a.json"))])


# What a datastore has only half of.
def no_record(c):
    return f"delete from file_datastore_records where dataset_id = '{c.uuid(0)}'"


def no_location(c):
    return f"delete from dataset_location where dataset_id = '{c.uuid(0)}'"


def record_of(c, number):
    return (f"insert into file_datastore_records values ('{c.uuid(number)}', 'kept/{c.name}', '{JSON}', 'int', "
            "'__NULL_STRING__', null, -1)")


def trash(c):
    return f"insert into dataset_location_trash (datastore_name, dataset_id) values ('FileDatastore@<butlerRoot>', '{c.uuid(0)}')"


def no_tags(c):
    return f"delete from dataset_tags_00000001 where dataset_id = '{c.uuid(0)}'"


def no_summaries(c):
    run = f"(select collection_id from collection where name = '{c.run}')"
    return [f"delete from collection_summary_{kind} where collection_id = {run}"
            for kind in ("dataset_type", "instrument")]


def tagged(c):
    """A TAGGED collection with the dataset of detector 1."""
    name = f"tagged/{c.name}"
    return [lambda butler: butler.collections.register(name, CollectionType.TAGGED),
            lambda butler: butler.registry.associate(name, butler.query_datasets("dt1", collections=c.run))]


add("B16", lambda c: [c.event(c.file(0, detector=1, path=f"{c.name}/new.json"))],
    setup=lambda c: [no_record(c), no_location(c)])
add("B17", lambda c: [c.event(c.file(1))], setup=lambda c: [record_of(c, 1)])
add("B18", lambda c: [c.event(c.file(0, detector=1))], setup=lambda c: [no_record(c)])
add("B18b", lambda c: [c.event(c.file(0, detector=1))],
    setup=lambda c: [no_record(c), f"update dataset_location set datastore_name = 'Else' where dataset_id = '{c.uuid(0)}'"])
add("B17b", lambda c: [c.event(c.files({c.uuid(1): c.ref(), c.uuid(2): c.ref(type="dt2")}))],
    setup=lambda c: [record_of(c, 2)])
add("B16b", lambda c: [c.event(c.files({c.uuid(0): c.ref(detector=1), c.uuid(1): c.ref()}))],
    setup=lambda c: [no_record(c), no_location(c)])
add("B74b", lambda c: [c.event(c.file(0, detector=1))], setup=lambda c: [no_record(c), no_location(c), trash(c)])
add("B74", lambda c: [c.event(c.file(0, detector=1))], setup=lambda c: [no_location(c), trash(c)])
add("B77", lambda c: [c.event(c.file(0, detector=1))], setup=lambda c: [no_tags(c), *no_summaries(c)])
add("B78", lambda c: [c.event(c.file(0, detector=1))], setup=lambda c: [no_tags(c)])
add("B79", lambda c: [c.event(c.file(0, detector=2))], setup=lambda c: [no_tags(c)])
add("B80", lambda c: [c.event(c.file(1, run=c.other_run, detector=1))], setup=tagged)
add("B81", lambda c: [c.event(c.file(0, detector=1))],
    setup=lambda c: [*tagged(c), f"update dataset_tags_00000001 set detector = 2 where dataset_id = '{c.uuid(0)}' "
                     f"and collection_id = (select collection_id from collection where name = 'tagged/{c.name}')"])

# Runs.
add("B20", lambda c: [c.event(c.file(1, run=f"new/{c.name}"))])
add("B20b", lambda c: [c.event(c.file(1, run=f"new/{c.name}"), c.file(2, run=f"new/{c.name}/2", type="dv", visit=100)),
                       c.event(c.file(3, run=f"new/{c.name}", detector=1))])
add("B20c", lambda c: [c.event(c.file(1, run=f"new/{c.name}"), c.file(3, detector=99)),
                       c.event(c.file(2, run=f"new/{c.name}"))])
add("B21", lambda c: [c.event(c.file(1, run=f"chain/{c.name}", type=c.new_type()), types=[c.type(c.new_type(), BOTH)])],
    setup=lambda c: [lambda butler: butler.collections.register(f"chain/{c.name}", CollectionType.CHAINED)])
add("B60", lambda c: [c.event(c.file(1, run=f"tagged/{c.name}"))],
    setup=lambda c: [lambda butler: butler.collections.register(f"tagged/{c.name}", CollectionType.TAGGED)])
add("B70", lambda c: [c.event(c.file(1, run=""))])

# Dataset types.
add("B22", lambda c: [c.event(c.file(1, type=c.new_type(), detector=99), types=[c.type(c.new_type(), BOTH)])])
add("B22b", lambda c: [c.event(c.file(1, type=c.new_type()), types=[c.type(c.new_type(), BOTH)])])
add("B22c", lambda c: [c.event(c.file(1, type=c.new_type()), types=[c.type(c.new_type(), BOTH)]),
                       c.event(c.file(2, type=c.new_type(), detector=1)),
                       c.event(c.file(3, type=c.new_type(), detector=1), types=[c.type(c.new_type(), BOTH)])])
add("B23", lambda c: [c.event(c.file(1, visit=100), types=[c.type("dt1", VISIT)])])
add("B24", lambda c: [c.event(c.file(1, type="cat", visit=100), types=[c.type("cat", VISIT, "ArrowTable")])])
add("B24b", lambda c: [c.event(c.file(1), types=[c.type("dt1", BOTH, "DataFrame")])])
add("B24d", lambda c: [c.event(c.file(1, type="dict1"), types=[c.type("dict1", BOTH, "Packages")])])
add("B24f", lambda c: [c.event(c.file(1, type="list1"), types=[c.type("list1", BOTH, "ArrowColumnList")])])
add("B25", lambda c: [c.event(c.file(1, type=c.new_type()), types=[c.type(c.new_type(), BOTH, is_calibration=True)])])
add("B25b", lambda c: [c.event(c.file(1), types=[c.type("dt1", BOTH, is_calibration=True)])])
add("B25c", lambda c: [c.event(c.file(1, type=c.new_type("a")), c.file(2, type=c.new_type("b")), types=[
    c.type(c.new_type("a"), VISIT[:1], is_calibration=True), c.type(c.new_type("b"), VISIT[:1], is_calibration=True)])])
add("B25d", lambda c: [
    c.event(c.file(1, type=c.new_type()), types=[c.type(c.new_type(), BOTH, is_calibration=True)]),
    c.event(c.file(2, type=c.new_type(), detector=1), types=[c.type(c.new_type(), BOTH)])])
add("B26", lambda c: [c.event(c.file(1, type=c.new_type("none")))])
add("B27", lambda c: [c.event(c.file(1, type=f"{c.new_type()}.part"), types=[c.type(f"{c.new_type()}.part", BOTH)])])
add("B76", lambda c: [c.event(c.file(1, type="cat.columns", visit=100))])
add("B69", lambda c: [c.event(c.file(1, type="dt1.none"))])
add("B28", lambda c: [c.event(c.file(1, type=c.new_type()), types=[c.type(c.new_type(), BOTH, "NoSuchClass")])])
add("B28b", lambda c: [c.event(c.file(1), types=[c.type("dt1", BOTH, "NoSuchClass")])])
add("B28c", lambda c: [c.event(c.file(1), types=[c.type(c.new_type(), BOTH, "NoSuchClass")])])
add("B28d", lambda c: [c.event(c.file(1, type=c.new_type()), types=[c.type(c.new_type(), BOTH, "Added")])])
add("B66", lambda c: [c.event(c.file(1, type=c.new_type()), types=[c.type(c.new_type(), BOTH, None)])])
add("B65", lambda c: [c.event(c.file(1, type=c.new_type()), types=[c.type(c.new_type(), ["instrument", "none"])])])
add("B65b", lambda c: [c.event(c.file(1, {"instrument": c.instrument, "physical_filter": "G", "band": "g", "subfilter": 1},
                                      type=c.new_type()), types=[c.type(c.new_type(), ["physical_filter", "subfilter"])]),
                       c.event(c.file(2))],
    # The client makes the group before it fails for its table.
    setup=lambda c: ["insert into dimension_graph_key values (nextval('dimension_graph_key_seq_id'))",
                     "insert into dimension_graph_definition select last_value,"
                     " unnest('{instrument,physical_filter,subfilter}'::text[]) from dimension_graph_key_seq_id"],
    alone=True)
add("B53", lambda c: [c.event(c.file(1, type=f"{name}{c.name}"), types=[c.type(f"{name}{c.name}", BOTH)])
                      for name in ("1-", "a-", "a b", "é-", "a..")])
add("B53b", lambda c: [c.event(c.file(1, type="instrument"), types=[c.type("instrument", BOTH)])])
add("B54", lambda c: [c.event(c.file(1, type=name, run=f"run-{'x' * 400}/{c.name}"), types=[c.type(name, BOTH)])
                      for name in ["n" * 200 + "_" + c.name]])
add("B67", lambda c: [c.event(c.file(1), types=[c.type(c.new_type(), BOTH)])])
add("B68", lambda c: [c.event(c.file(1), types=[c.type("dt1", BOTH), c.type("dt2", VISIT)])])
add("B72", lambda c: [c.event(c.file(1, type=c.new_type()), types=[c.type(c.new_type(), BOTH)] * 2)])
add("B73", lambda c: [c.event(c.file(1, type=c.new_type()), types=[c.type(c.new_type(), BOTH)]),
                      c.event(c.file(2, type=c.new_type(), detector=1), types=[c.type(c.new_type(), BOTH, "DataFrame")]),
                      c.event(c.file(3, type=c.new_type(), visit=100), types=[c.type(c.new_type(), VISIT)])])
add("B73b", lambda c: [c.event(c.file(1, type=c.new_type()), types=[
    c.type(c.new_type(), BOTH, "DataFrame"), c.type(c.new_type(), BOTH)])])
add("B73c", lambda c: [
    c.event(c.file(1, type=c.new_type()), c.file(2, type=c.new_type()), types=[c.type(c.new_type(), BOTH, "DataFrame")]),
    c.event(c.file(3, type=c.new_type()), types=[c.type(c.new_type(), BOTH)])])
add("B73d", lambda c: [
    c.event(c.file(1, type=c.new_type(), detector=99), types=[c.type(c.new_type(), BOTH, "DataFrame")]),
    c.event(c.file(3, type=c.new_type()), types=[c.type(c.new_type(), BOTH)])])
add("B59", lambda c: [c.event(c.file(1, type=c.new_type()), types=[c.type(c.new_type(), ["detector"])])])
add("B59b", lambda c: [c.event(c.file(1, type="dv", visit=100), types=[c.type("dv", ["visit", "band", "detector"])])])

# Data IDs.
add("B29", lambda c: [c.event(c.file(1, foo=1))])
add("B30", lambda c: [c.event(c.file(1, {"instrument": c.instrument}))])
add("B30b", lambda c: [c.event(c.file(1, {"detector": 2}))])
add("B31", lambda c: [c.event(c.file(1, visit=100))])
add("B31b", lambda c: [c.event(c.file(1, visit=999))])
FULL = {"visit": 100, "band": "g", "physical_filter": "G", "day_obs": 20250101}
add("B32", lambda c: [c.event(c.file(1, type="dv", **FULL)), c.event(c.file(1, type="dv", visit=100))])
add("B33", lambda c: [c.event(c.file(1, type="dv", **FULL | {"band": "wrong", "physical_filter": "W", "day_obs": 1}))])
add("B34", lambda c: [c.event(c.file(1, detector="2"))])
add("B34b", lambda c: [c.event(c.file(1, detector="x"))])
add("B34c", lambda c: [c.event(c.file(1, detector=value)) for value in (" 2 ", "+2", "02", "2.0", "0x2", "")])
add("B35", lambda c: [c.event(c.file(1, detector=2.0))])
add("B35b", lambda c: [c.event(c.file(1, detector=True, type="dt2"))])
add("B35c", lambda c: [c.event(c.file(1, detector=None))])
add("B84", lambda c: [c.event(c.file(1, detector=2.5))])
add("B83", lambda c: [c.event(c.file(1, {"instrument": 5, "detector": 2}))])
add("B83b", lambda c: [c.event(c.file(1, detector=2**63)), c.event(c.file(2, detector=2**62))])
add("B85", lambda c: [c.event(c.file(1, detector=2), c.file(2, detector="2"))])
add("B85b", lambda c: [c.event(c.file(0, detector="1")), c.event(c.file(1, detector="1"))])
add("B36", lambda c: [c.event(c.file(1, detector=99))])
add("B36b", lambda c: [c.event(c.file(1, type="dv", visit=999))])
add("B36c", lambda c: [c.event(c.file(1, type="dv", **FULL | {"visit": 999}))])
add("B36d", lambda c: [c.event(c.file(1, {"instrument": f"None-{c.name}", "detector": 1}))])
add("B36e", lambda c: [c.event(c.file(1, detector=3)), c.event(c.file(1, detector=3), records=[c.detector(3)])])
add("B36f", lambda c: [c.event(c.file(1, {"instrument": "x" * 33, "detector": 1}))])
add("B37", lambda c: [c.event(c.file(1, type="dv", visit=100))])
add("B56", lambda c: [c.event(c.file(1), c.file(2, detector=99, run=f"new/{c.name}"))])
add("B57", lambda c: [c.event(c.file(0, detector=1), c.file(1))])
add("B52", lambda c: [c.event(c.files({spelt: c.ref(type=type)}, f"{c.name}/{type}")) for type, spelt in (
    ("dt1", c.uuid(1).upper()), ("dt2", c.uuid(2).replace("-", "")), ("dict1", f"urn:uuid:{c.uuid(3)}"),
    ("list1", f"{{{c.uuid(4)}}}"), ("dv", "7"))])
add("B58", lambda c: [c.event(c.file(1) | {"more": 1}), c.event(c.files({c.uuid(2): c.ref(type="dt2") | {"more": 1}}))])

# Characters that are no text for PostgreSQL.
add("B86", lambda c: [c.event(c.file(1, path=f"{c.name}/\0")), c.event(c.file(1, run=f"{c.run}\0")),
                      c.event(c.file(1, {"instrument": c.instrument + "\0", "detector": 2})),
                      c.event(c.file(1, type="dt1\0")), c.event(c.file(1, formatter=JSON + "\0"))])
add("B86b", lambda c: [c.event(c.file(1, path=f"{c.name}/\ud800")), c.event(c.file(1, run=f"{c.run}\ud800")),
                       c.event(c.file(1, {"instrument": c.instrument + "\ud800", "detector": 2}))])
# A key twice.
add("B87", lambda c: [json.dumps(c.event(c.file(1))).replace('"detector": 2', '"detector": 1, "detector": 2'),
                      json.dumps(c.event(c.file(2, type="dt2"))).replace('"formatter"', '"path": "x", "path": "B87/2", "formatter"')])

# Paths and formatters.
PATHS = ["{}/a/b.json", "./{}/a.json", "{}//a.json", "{}/x/../a.json", "{}/a%20b.json", "{}/a#b.json", "{}/a?b.json",
         "{}/a b.json", "{}/é.json", "/else/{}/a.json", "../{}/a.json", "{}/", "", "{}/a.json/.", "s3://bucket/{}/a",
         "<root>/{}/a.json", "file://<root>/{}/a.json", "<root>/../{}/a.json", "<root>else/{}/a.json"]
for number, path in enumerate(PATHS):
    add(f"B39x{number:02}", lambda c, path=path: [c.event(c.files({c.uuid(1): c.ref()}, 
                                                                         path.format(c.name).replace("<root>", c.root)))])
add("B42", lambda c: [c.event(c.file(1, formatter=None))])
add("B43", lambda c: [c.event(c.file(1, formatter="no.such.Formatter"))])
add("B43b", lambda c: [c.event(c.file(1, formatter="builtins.int"))])
add("B44", lambda c: [c.event(c.file(1, formatter=""))])


# Groups of dimensions.
def group(name: str, dimensions, *data_ids, records=()):
    """A new dataset type of these dimensions, and an event for each data ID."""
    def events(c):
        new = c.new_type()
        made = []
        for number, data_id in enumerate(data_ids, 1):
            values = {k: v.format(instrument=c.instrument, skymap=c.skymap) if isinstance(v, str) else v
                      for k, v in data_id.items()}
            made.append(c.event(c.file(number, values, type=new), types=[c.type(new, dimensions)],
                                records=[record(c) for record in records]))
        return made
    add(name, events)


I, S = "{instrument}", "{skymap}"
group("B45", [], {}, {"instrument": I})
group("B46", ["htm7"], {"htm7": 131072}, {"htm7": 131072})
group("B46b", ["htm11", "instrument"], {"htm11": 33554432, "instrument": I})
group("B48", ["healpix9", "band"], {"healpix9": 7, "band": "g"})
group("B49", ["skymap", "tract"], {"skymap": S, "tract": 1}, {"skymap": S, "tract": 2})
group("B49b", ["patch", "band"], {"skymap": S, "tract": 1, "patch": 3, "band": "g"},
      {"skymap": S, "tract": 1, "patch": 4, "band": "g"}, records=[lambda c: c.patch(1, 3, None)])
group("B61", ["band"], {"band": "nonsense"}, {"band": "x" * 33})
group("B62", ["htm7"], {"htm7": 5})
group("B62b", ["healpix1"], {"healpix1": 48}, {"healpix1": -1}, {"healpix1": 47})
group("B63", ["tract", "visit"], {"skymap": S, "tract": 1, "instrument": I, "visit": 100})
group("B64", ["physical_filter"], {"instrument": I, "physical_filter": "G", "band": "g"},
      {"instrument": I, "physical_filter": "R"})
group("B64b", ["exposure", "detector", "group"], {"instrument": I, "detector": 1, "exposure": 100},
      {"instrument": I, "detector": 1, "exposure": 101})
group("B64c", ["visit_system", "day_obs", "group"], {"instrument": I, "visit_system": 0, "day_obs": 20250101, "group": "g1"})
group("B64d", ["subfilter"], {"band": "g", "subfilter": 1})

# Tables that a new group needs.
NEXT = "'dataset_tags_' || lpad((select last_value + 1 from dimension_graph_key_seq_id)::text, 8, '0')"
add("D01", lambda c: [c.event(c.file(1, {"instrument": c.instrument, "subfilter": 1, "band": "g"}, type=c.new_type()),
                              types=[c.type(c.new_type(), ["instrument", "subfilter"])]), c.event(c.file(2))],
    setup=lambda c: [f"do $$begin execute 'create table ' || {NEXT} || ' (id int)'; end$$"], alone=True)
add("D02", lambda c: [c.event(c.file(1, type=c.new_type("a")), types=[c.type(c.new_type("a"), ["instrument"])]),
                      c.event(c.file(2, type=c.new_type("b")), types=[c.type(c.new_type("b"), ["instrument"])])],
    alone=True)
add("D03", lambda c: [c.event(c.file(1, type=c.new_type("a"), visit=100), types=[c.type(c.new_type("a"), VISIT)]),
                      c.event(c.file(2, type=c.new_type("b"), visit=100),
                              types=[c.type(c.new_type("b"), VISIT, is_calibration=True)])], alone=True)

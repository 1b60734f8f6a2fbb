"""The checklist's cases about dimension records (A)."""

from __future__ import annotations

import json

from checklist_case import DAY, add, hexadecimal, region
from lsst.sphgeom import Angle, Box, Circle, IntersectionRegion, LonLat, UnionRegion, UnitVector3d

MAX = 4102444800000000000
BEGIN, END = 1735776037000000000, 1735862437000000000


def point(lon: float, lat: float) -> UnitVector3d:
    return UnitVector3d(LonLat.fromDegrees(lon, lat))


# New records, and repeated ones.
add("A01", lambda c: [c.records(c.detector(3))])
add("A02", lambda c: [c.records(c.detector(1))])
add("A03", lambda c: [c.records(c.detector(1, purpose="OTHER"))])
add("A04b", lambda c: [c.records(c.detector(3, raft="first"), c.detector(3, raft="last"))])
add("A04c", lambda c: [c.records(c.detector(3, raft="first")), c.records(c.detector(3, raft="last"))])
add("A05", lambda c: [c.records(c.detector(3, full_name="D1"), c.detector(4))])
add("A05b", lambda c: [c.records(c.detector(3)), c.records(c.detector(4, full_name="D3")),
                       c.records(c.detector(4))])
add("A05c", lambda c: [c.records(c.detector(3), c.exposure(101, obs_id="E100"))])
add("A06", lambda c: [c.records(c.exposure(101, group="none"))])
add("A06b", lambda c: [c.records(c.detector(3, instrument=f"None-{c.name}"))])
add("A06c", lambda c: [c.records(c.exposure(101, group="g2")), c.records(c.group("g2"), c.exposure(101, group="g2"))])
add("A26", lambda c: [c.records(c.exposure(101, obs_id="E100"))])

# Regions and overlaps.
add("A07", lambda c: [c.records(c.visit(101))])
add("A08", lambda c: [c.records(c.visit(100, region=region(101.3, 10.8)))])
add("A09", lambda c: [c.records(c.visit_detector_region(2, 100, None))])
add("A10", lambda c: [c.records(c.visit_detector_region(2, 100, None)),
                      c.records(c.visit_detector_region(2, 100, region(100, 10, 0.02)))])
add("A11", lambda c: [c.records(c.instrument_record(name=f"New-{c.name}"))])
add("A11b", lambda c: [c.records(c.skymap_record(name=f"New-{c.name}", hash="ab" * 20))])
add("A11c", lambda c: [c.records(c.skymap_record(name=f"New-{c.name}"))])
add("A25", lambda c: [c.records(c.skymap_record(name=f"New-{c.name}", hash="00ff" * 40))])


def without_summary(c):
    return [f"delete from visit_skypix_overlap_summary where instrument = '{c.instrument}'"]


add("A12", lambda c: [c.records(c.instrument_record()), c.records(c.visit(101))], setup=without_summary)
add("A13", lambda c: [c.records(c.visit(101))], setup=without_summary)
add("A14", lambda c: [c.records(c.visit(101))], alone=True,
    setup=lambda c: [f"insert into visit_skypix_overlap_summary values ('htm', 8, '{c.instrument}')"])
CIRCLE = Circle(point(20, 30), Angle(0.01))
BOX = Box(LonLat.fromDegrees(350, -5), LonLat.fromDegrees(360, 5))
add("A27", lambda c: [
    c.records(c.visit(101, region=hexadecimal(CIRCLE))),
    c.records(c.visit(102, region=hexadecimal(BOX))),
    c.records(c.visit(103, region=hexadecimal(UnionRegion(CIRCLE, UnionRegion(BOX, Circle.empty()))))),
    c.records(c.visit(104, region=hexadecimal(IntersectionRegion(CIRCLE, Circle(point(20.5, 30), Angle(0.01)))))),
    c.records(c.visit(105, region=hexadecimal(Circle.empty()))),
])
add("A31", lambda c: [c.records(c.tract(2, region(51, -31, 0.5)), c.patch(2, 1, region(51, -31, 0.05)))])

# Strict values.
add("A15", lambda c: [c.records(c.exposure(101, exposure_time=30, tracking_ra=-0.0, azimuth=1e-320))])
add("A16", lambda c: [c.records({"definition": "detector", "record": {
    k: v for k, v in c.detector(3)["record"].items() if k != "raft"}})])
add("A16b", lambda c: [c.records(c.detector(3, full_name=None, raft=None)), c.records(c.detector(4, full_name=None))])
add("A17", lambda c: [c.records(c.detector(3, more=1))])
add("A18", lambda c: [c.records(c.visit(101, seq_num=True))])
add("A18b", lambda c: [c.records(c.visit(101, seq_num="3"))])
add("A18c", lambda c: [c.records(c.visit(101, seq_num=3.0))])
add("A18d", lambda c: [c.records(c.detector(3, raft=7))])
add("A18e", lambda c: [c.records(c.exposure(101, has_simulated=1))])
add("A18f", lambda c: [c.records(c.detector(None))])
add("A18g", lambda c: [c.records(c.exposure(101, group=None))])
add("A18h", lambda c: [c.records(c.visit(101, exposure_time="30"))])
add("A33", lambda c: [c.records({"definition": "detector", "record": {
    ("detector" if k == "id" else k): v for k, v in c.detector(3)["record"].items()}})])
add("A34", lambda c: [c.records(c.detector(3, raft="a\0b"))])


# Timespans.
def days(name: str, timespan) -> None:
    add(name, lambda c: [c.records(c.day_obs(DAY + 1, timespan))])


days("A19", None)
days("A19a", [0, END])
days("A19b", [BEGIN, MAX])
days("A19c", [0, MAX])
days("A19d", [END, BEGIN])
days("A19e", [BEGIN, BEGIN])
days("A19f", [MAX, 0])
days("A19g", [-1, END])
days("A19h", [BEGIN, MAX + 1])
days("A19i", {"begin": BEGIN, "end": END})
days("A19j", [float(BEGIN), float(END)])
days("A19k", [str(BEGIN), str(END)])
days("A19m", [BEGIN])

# Bytes in hexadecimal digits.
HEX = region(101, 10)
add("A20", lambda c: [c.records(c.visit(101, region="zz"))])
add("A20b", lambda c: [c.records(c.visit(101, region="78" + HEX[2:]))])
add("A20c", lambda c: [c.records(c.visit(101, region=HEX[:10].upper() + " " + HEX[10:]))])
add("A20d", lambda c: [c.records(c.visit(101, region=""))])
add("A20e", lambda c: [c.records(c.visit(101, region=HEX[:-2]))])

# Elements without a table.
add("A22", lambda c: [c.records({"definition": "foo", "record": {}})])
add("A22b", lambda c: [c.records({"definition": "band", "record": {"name": "u"}})])
add("A22c", lambda c: [c.records({"definition": "htm7", "record": {"id": 131072}})])

# Numbers and lengths.
add("A23", lambda c: [c.records(c.visit(101, azimuth=float("nan"), exposure_time=float("inf"),
                                        zenith_angle=float("-inf")))])
add("A23c", lambda c: [c.records(c.visit(101, seq_num=float("nan")))])
add("A23d", lambda c: [c.records(c.detector(3, raft=float("inf"))), c.event(c.file(1, detector=float("nan")))])
add("A23e", lambda c: [c.records(c.detector(3)) | {"more": [float("nan"), float("inf")]}])
add("A23b", lambda c: [c.records(c.visit(101, azimuth=None))])
add("A24", lambda c: [c.records(c.detector(3, purpose="x" * 33))])
add("A24b", lambda c: [c.records(c.visit(101, target_name="x" * 300))])
add("A24c", lambda c: [c.records(c.detector(3, purpose="é" * 32))])
add("A32", lambda c: [c.records(c.visit(101, seq_num=2**63))])
add("A28", lambda c: [c.records({"definition": "subfilter", "record": {"band": f"b-{c.name}", "id": 1}})])
add("A30", lambda c: [c.records(c.patch(1, 1, None, cell_x=None, cell_y=None))])

# The event itself (F.1).
add("F01", lambda c: [json.dumps(c.records(c.detector(3)) | {"type": "other"})])
add("F02", lambda c: [c.records(c.detector(3)) | {"more": {"a": 1}}])
add("F03", lambda c: [c.records(c.detector(3)) | {"dataset_types": None}])
add("F04", lambda c: [{"type": "pp-output", "datasets": []}, {"type": "pp-output", "dimension_records": []}])
add("F05", lambda c: [f'{{"type": "pp-output", "dimension_records": [{json.dumps(c.detector(3))}], "datasets": ['])
add("F06", lambda c: ["[]", '"pp-output"', ""])

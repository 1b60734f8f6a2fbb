"""What the cases of the checklist are written with.

A case is a stream of `pp-output` events, and what has to be done to the repository before. All
cases share one repository, and each has an instrument, a skymap, runs and UUIDs of its own there,
which bear its name: so a row says which case it belongs to. A case that concerns more than its own
rows is `alone`, in a copy of the repository.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterable

from lsst.sphgeom import ConvexPolygon, LonLat, UnitVector3d

JSON = "lsst.daf.butler.formatters.json.JsonFormatter"
DAY = 20250101
CASES: dict[str, Case] = {}


def region(lon: float, lat: float, size: float = 0.1) -> str:
    """A square around a place on the sky, all in degrees, as hexadecimal digits."""
    corners = [(lon - size, lat - size), (lon + size, lat - size), (lon + size, lat + size), (lon - size, lat + size)]
    return hexadecimal(ConvexPolygon([UnitVector3d(LonLat.fromDegrees(*corner)) for corner in corners]))


def hexadecimal(shape) -> str:
    return shape.encode().hex()


def add(name: str, events: Callable[[Case], list], *, setup: Callable | None = None, alone: bool = False) -> None:
    """Adds a case. `events` makes its events, objects or JSON text; `setup` the SQL statements and
    functions of a Butler that prepare the repository."""
    assert name not in CASES, name
    CASES[name] = Case(name, events, setup, alone)


class Case:
    # The datastore's root directory, which `checklist.py` makes.
    root = ""

    def __init__(self, name: str, events: Callable, setup: Callable | None, alone: bool):
        self.name = name
        self.alone = alone
        self.instrument = f"Cam-{name}"
        self.skymap = f"S-{name}"
        self.run = f"run/{name}"
        self.other_run = f"other/{name}"
        self._events = events
        self._setup = setup

    def events(self) -> list[str]:
        """The JSON text of each."""
        return [e if isinstance(e, str) else json.dumps(e) for e in self._events(self)]

    def setup(self) -> Iterable[str | Callable]:
        return self._setup(self) if self._setup else []

    @property
    def uuid_prefix(self) -> str:
        return f"{zlib.crc32(self.name.encode()):08x}"

    def uuid(self, number: int) -> str:
        """`uuid(0)` is in the repository: a dt1 of detector 1."""
        return f"{self.uuid_prefix}-0000-4000-8000-{number:012x}"

    # Dimension records. Other values than these are given by name.

    def record(self, element: str, values: dict, changes: dict) -> dict:
        return {"definition": element, "record": values | changes}

    def instrument_record(self, **changes) -> dict:
        return self.record("instrument", {
            "name": self.instrument, "visit_max": 999999, "visit_system": None, "exposure_max": 999999,
            "detector_max": 99, "class_name": "Cam"}, changes)

    def physical_filter(self, name: str, band: str, **changes) -> dict:
        return self.record("physical_filter", {
            "instrument": self.instrument, "name": name, "band": band}, changes)

    def detector(self, number: int, **changes) -> dict:
        return self.record("detector", {
            "instrument": self.instrument, "id": number, "full_name": f"D{number}", "name_in_raft": f"{number}",
            "raft": "R", "purpose": "SCIENCE"}, changes)

    def day_obs(self, number: int, timespan) -> dict:
        return self.record("day_obs", {
            "instrument": self.instrument, "id": number, "timespan": timespan}, {})

    def group(self, name: str) -> dict:
        return self.record("group", {"instrument": self.instrument, "name": name}, {})

    def visit_system(self, number: int, name: str) -> dict:
        return self.record("visit_system", {"instrument": self.instrument, "id": number, "name": name}, {})

    def exposure(self, number: int, **changes) -> dict:
        return self.record("exposure", {
            "instrument": self.instrument, "id": number, "day_obs": DAY, "group": "g1", "physical_filter": "G",
            "obs_id": f"E{number}", "exposure_time": 30.5, "dark_time": 31.25, "observation_type": "science",
            "observation_reason": "test", "seq_num": number, "seq_start": number, "seq_end": number,
            "target_name": "field", "science_program": "p", "tracking_ra": 10.5, "tracking_dec": -20.25,
            "sky_angle": None, "azimuth": 1.5, "zenith_angle": -0.0, "has_simulated": False, "can_see_sky": True,
            "timespan": [1735689637000000000, 1735689668000000000]}, changes)

    def visit(self, number: int, **changes) -> dict:
        return self.record("visit", {
            "instrument": self.instrument, "id": number, "day_obs": DAY, "physical_filter": "G",
            "name": f"V{number}", "seq_num": number, "exposure_time": 30.5, "target_name": "field",
            "observation_reason": "test", "science_program": "p", "azimuth": 1.5, "zenith_angle": 0.1,
            "region": region(number, 10), "timespan": [1735689637000000000, 1735689668000000000]}, changes)

    def visit_detector_region(self, detector: int, visit: int, shape: str | None) -> dict:
        return self.record("visit_detector_region", {
            "instrument": self.instrument, "detector": detector, "visit": visit, "region": shape}, {})

    def skymap_record(self, **changes) -> dict:
        return self.record("skymap", {
            "name": self.skymap, "hash": self.uuid_prefix * 5, "tract_max": 10, "patch_nx_max": 5,
            "patch_ny_max": 5}, changes)

    def tract(self, number: int, shape: str | None) -> dict:
        return self.record("tract", {"skymap": self.skymap, "id": number, "region": shape}, {})

    def patch(self, tract: int, number: int, shape: str | None, **changes) -> dict:
        return self.record("patch", {
            "skymap": self.skymap, "tract": tract, "id": number, "cell_x": 0, "cell_y": number,
            "region": shape}, changes)

    # Datasets.

    def ref(self, data_id: dict | None = None, *, type: str = "dt1", run: str | None = None, detector=2,
            **dimensions) -> dict:
        """A reference: to a dataset of detector 2 and the dimensions named, or of just this data ID."""
        if data_id is None:
            data_id = {"instrument": self.instrument, "detector": detector} | dimensions
        return {"dataset_type_name": type, "run": self.run if run is None else run, "data_id": data_id}

    def file(self, number: int, data_id: dict | None = None, *, path: str | None = None, formatter=JSON,
             **ref) -> dict:
        """A file with a reference to the dataset of this number."""
        return self.files({self.uuid(number): self.ref(data_id, **ref)}, path or f"{self.name}/{number}.json",
                          formatter)

    def files(self, refs: dict, path: str | None = None, formatter=JSON) -> dict:
        """A file with all these references, by UUID."""
        return {"refs": refs, "path": f"{self.name}/file.json" if path is None else path, "formatter": formatter}

    def type(self, name: str, dimensions: Iterable[str], storage_class: str | None = "int",
             is_calibration: bool = False) -> dict:
        return {"name": name, "storageClass": storage_class, "dimensions": list(dimensions),
                "parentStorageClass": None, "isCalibration": is_calibration}

    def new_type(self, prefix: str = "new") -> str:
        """The name of a dataset type that only this case has."""
        return f"{prefix}_{self.name}"

    def event(self, *datasets: dict, records: Iterable[dict] = (), types: Iterable[dict] | None = None) -> dict:
        event = {"type": "pp-output", "dimension_records": list(records)}
        if types is not None:
            event["dataset_types"] = list(types)
        return event | {"datasets": list(datasets)}

    def records(self, *records: dict) -> dict:
        """An event with dimension records alone."""
        return self.event(records=records)

    def base(self) -> list[dict]:
        """What the repository has of this case, beside the dataset `uuid(0)`."""
        return [
            self.instrument_record(), self.skymap_record(),
            self.detector(1), self.detector(2), self.physical_filter("G", "g"), self.physical_filter("R", "r"),
            self.day_obs(DAY, [1735689637000000000, 1735776037000000000]), self.group("g1"),
            self.visit_system(0, "one-to-one"), self.exposure(100), self.visit(100),
            self.visit_detector_region(1, 100, region(100, 10, 0.02)), self.tract(1, region(50, -30)),
        ]

"""A stream with datasets of all kinds of dimension groups, and the records that they stand on: all that
the client ships, and a few of the elements of which it ships none."""

from __future__ import annotations

import json
import random
import tempfile
import uuid

import pod_events
from lsst.daf.butler import Butler, DataCoordinate, DatasetType, DimensionGroup, DimensionRecord

RUNS = ["groups/a", "groups/B", "groups/0 ä"]
BANDS = ["g", "r", "i"]
STORAGE_CLASSES = ["StructuredDataDict", "ArrowAstropy", "ExposureF", "DataFrame"]
FORMATTERS = ["lsst.daf.butler.formatters.json.JsonFormatter", "lsst.daf.butler.formatters.yaml.YamlFormatter"]
# Elements of which the client ships no records: dimensions and their values.
OTHERS = {
    "subfilter": [{"band": band, "id": number} for band in BANDS for number in (0, 1)],
    "ssp_hypothesis_table": [{"name": "one"}, {"name": "two"}],
    "ssp_hypothesis_bundle": [{"ssp_hypothesis_table": "one", "id": number} for number in (3, 4)],
    "ssp_balanced_index": [{"ssp_hypothesis_table": "one", "id": number} for number in (5, 6)],
}
RANDOM_GROUPS = 70


class World:
    """What the records allow."""

    def __init__(self, rng: random.Random):
        self.rng = rng
        with tempfile.TemporaryDirectory() as directory:
            Butler.makeRepo(directory)
            pod = Butler.from_config(directory, writeable=True)
            pod_events.load(pod)
            self.universe = pod.dimensions
            self.shipped = pod_events.records(pod)
        others = {element: [self.universe[element].RecordClass(**values) for values in of]
                  for element, of in OTHERS.items()}
        self.records = self.shipped | others

    def record_events(self, records: dict[str, list[DimensionRecord]]) -> list[str]:
        """A few of them per event, those of one element mixed, and parents before children."""
        events = []
        for element in self.universe.sorted(records):
            of = self.rng.sample(records[element.name], len(records[element.name]))
            while of:
                number = self.rng.randint(1, 9)
                events.append(pod_events.event(records=of[:number]))
                of = of[number:]
        return events

    def groups(self) -> list[DimensionGroup]:
        """One for each dimension, and others at random, also with pixels of the sky."""
        names = [dimension.name for dimension in self.universe.dimensions]
        pixels = [name for name in names if name.startswith(("htm", "healpix"))]
        places = [name for name in names if name not in pixels]
        chosen = [[], *([name] for name in places), ["htm7"], ["htm24"], ["healpix1"], ["healpix17"]]
        for _ in range(RANDOM_GROUPS):
            chosen.append(self.rng.sample(places, self.rng.randint(1, 5))
                          + self.rng.sample(pixels, self.rng.choice([0, 0, 1])))
        # Of a table that refers to a subfilter, the client can't make one without a column for its band.
        groups = [self.universe.conform(one) for one in chosen]
        return [one for one in groups if "subfilter" not in one.names or "band" in one.required]

    def data_id(self, group: DimensionGroup) -> dict | None:
        """One that the records allow, if any is found: whole, or no more than required."""
        for _ in range(50):
            values = {}
            for name in group.required:
                values |= self.choose(name, values) or {}
            if values.keys() >= set(group.names):
                names = self.rng.choice([group.names, group.required])
                return {name: values[name] for name in names}
        return None

    def choose(self, name: str, values: dict) -> dict | None:
        """A value of the dimension that goes with these, and those that it implies."""
        if name == "band":
            return {name: self.rng.choice(BANDS)}
        if name.startswith("htm"):
            level = int(name.removeprefix("htm"))
            return {name: self.rng.randrange(8 << 2 * level, 16 << 2 * level)}
        if name.startswith("healpix"):
            return {name: self.rng.randrange(12 << 2 * int(name.removeprefix("healpix")))}
        fitting = [found for record in self.records[name] if agree(found := self.implied(record), values)]
        return self.rng.choice(fitting) if fitting else None

    def implied(self, record: DimensionRecord) -> dict:
        """All values that a record says, those of the records that it implies included."""
        values = dict(record.dataId.required)
        for dimension in record.definition.implied:
            values[dimension.name] = value = record.get(dimension.name)
            if dimension.name != "band":
                values |= next(self.implied(one) for one in self.records[dimension.name]
                               if agree(dict(one.dataId.required), values | {dimension.name: value}))
        return values


def agree(found: dict, values: dict) -> bool:
    return all(values.get(name, value) == value for name, value in found.items())


def shipped(seed: int) -> list[str]:
    """Events with all records that the client ships."""
    world = World(random.Random(seed))
    return world.record_events(world.shipped)


def make(seed: int) -> list[str]:
    """The records; then the datasets, several types and groups in an event, some events twice."""
    rng = random.Random(seed)
    world = World(rng)
    types, refs = {}, []
    for number, group in enumerate(world.groups()):
        data_ids = [one for _ in range(rng.randint(1, 20)) if (one := world.data_id(group)) is not None]
        dataset_type = DatasetType(f"type{number}", group, rng.choice(STORAGE_CLASSES), isCalibration=rng.random() < 0.15)
        if data_ids:
            types[dataset_type.name] = json.loads(dataset_type.to_simple().model_dump_json())
        distinct = {DataCoordinate.standardize(one, dimensions=group, universe=world.universe).required_values: one
                    for one in data_ids}
        refs += [{"dataset_type_name": dataset_type.name, "run": run, "data_id": data_id}
                 for data_id in distinct.values() for run in rng.sample(RUNS, rng.randint(1, len(RUNS)))]
    rng.shuffle(refs)
    files = []
    for run in RUNS:
        of_run = [ref for ref in refs if ref["run"] == run]
        while of_run:
            number = rng.choice([1, 1, 1, 2, 3])
            files.append(file(rng, f"{run}/{len(files)}.json", of_run[:number]))
            of_run = of_run[number:]
    rng.shuffle(files)
    events = []
    while files:
        number = rng.randint(1, 12)
        events += [event(files[:number], types)] * rng.choice([1, 1, 1, 2])
        files = files[number:]
    rng.shuffle(events)
    return world.record_events(world.records) + events


def file(rng: random.Random, path: str, refs: list[dict]) -> dict:
    by_id = {str(uuid.UUID(int=rng.getrandbits(128), version=4)): ref for ref in refs}
    return {"refs": by_id, "path": path, "formatter": rng.choice(FORMATTERS)}


def event(files: list[dict], types: dict[str, dict]) -> str:
    """With the definitions of the types that it names."""
    names = {ref["dataset_type_name"] for one in files for ref in one["refs"].values()}
    return pod_events.event(datasets=files, dataset_types=[types[name] for name in sorted(names)])

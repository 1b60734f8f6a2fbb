#!/usr/bin/env python
"""What the official client answers about the repository of `pod_events.py`, read-only.

    client_answers.py SERVER DATABASE DIRECTORY

SERVER is a user's DSN of a server without a database, which may be a replica; DIRECTORY is the root
of the datastore. Writes JSON lines [question, answer]. Nothing in an answer depends on surrogate ids
or on when something was written.
"""

from __future__ import annotations

import json
import sys

from client_server import Server
from lsst.daf.butler import Butler
from lsst.sphgeom import HealpixPixelization
from pod_events import CHAINS, ELEMENTS, RUNS, TYPES

RESULTS, EVERYTHING = CHAINS
# Of level 9, in a visit of Cam1.
PIXEL = 1245283


def ref(one) -> list[str]:
    return [one.datasetType.name, one.run, str(one.id), str(one.dataId)]


def refs(found) -> list:
    return sorted(ref(one) for one in found)


def records(found) -> list[str]:
    return sorted(record.to_simple().model_dump_json() for record in found)


def collections(butler: Butler) -> dict:
    infos = butler.collections.query_info("*", include_parents=True, include_summary=True, include_doc=True)
    return {info.name: [info.type.name, list(info.children), sorted(info.parents), info.doc,
                        sorted(info.dataset_types or ())] for info in infos}


def summaries(butler: Butler) -> dict:
    of = {name: butler.registry.getCollectionSummary(name) for name in [*RUNS, *CHAINS]}
    return {name: [sorted(one.name for one in summary.dataset_types),
                   {governor: sorted(values) for governor, values in summary.governors.items()}]
            for name, summary in of.items()}


def dataset_types(butler: Butler) -> list:
    return sorted([one.name, str(one.dimensions), one.storageClass_name, one.isCalibration()]
                  for one in butler.registry.queryDatasetTypes())


def all_refs(butler: Butler) -> list:
    return [one for name in TYPES for run in RUNS
            for one in butler.query_datasets(name, run, find_first=False, limit=None, explain=False)]


def found_by_data_id(butler: Butler) -> list:
    """In a chain, the first run that has it."""
    found = {(one.datasetType.name, one.dataId) for one in all_refs(butler)}
    return refs(butler.find_dataset(name, data_id, collections=RESULTS) for name, data_id in found)


def where(dataset_type: str, condition: str, collection: str = RESULTS, **bind):
    return lambda butler: refs(butler.query_datasets(dataset_type, collection, where=condition, bind=bind, explain=False, limit=None))


def data_ids(dimensions: list[str], condition: str, **bind):
    def ask(butler: Butler) -> list[str]:
        with butler.query() as query:
            return sorted(str(one) for one in query.where(condition, bind=bind).data_ids(dimensions))
    return ask


def pixels(butler: Butler) -> list:
    """Which pixels of common skypix are overlapped: by visits, detectors, tracts and patches."""
    answers = []
    for element, instrument_or_skymap in [
        ("visit", "instrument = 'LSSTCam'"), ("visit", "instrument = 'HSC'"),
        ("tract", "skymap = 'discrete/ci_hsc'"), ("patch", "skymap = 'SkyMap1'"),
    ]:
        answers.append(data_ids([element, "htm7"], instrument_or_skymap)(butler))
    return answers


def contents(butler: Butler) -> list:
    """Of every file, and once more by way of the chain."""
    by_chain = [(name, one.dataId) for name in TYPES for one in butler.query_datasets(name, EVERYTHING, limit=None)]
    return [*sorted([str(one.id), butler.get(one)] for one in all_refs(butler)),
            *sorted([str(data_id), butler.get(name, data_id, collections=EVERYTHING)] for name, data_id in by_chain)]


QUESTIONS = {
    "collections": collections,
    "members of a chain of a chain": lambda butler: list(butler.collections.query(EVERYTHING, flatten_chains=True)),
    "summaries": summaries,
    "dataset types": dataset_types,
    "all datasets": lambda butler: refs(all_refs(butler)),
    "datasets by UUID": lambda butler: refs(butler.get_dataset(one.id) for one in all_refs(butler)),
    "datasets by data ID": found_by_data_id,
    "where a dimension": where("detector_summary", "instrument = 'HSC' AND detector > 10"),
    "where a record's field": where("visit_summary", "instrument = 'HSC' AND visit.exposure_time > 20"),
    "where an implied dimension": where("steps", "instrument = 'LSSTCam' AND band IN ('i', 'z')"),
    "where a name is bound": where("tract_summary", "skymap = name", EVERYTHING, name="discrete/ci_hsc"),
    "where a place": where(
        "detector_summary", "instrument = 'Cam1' AND visit_detector_region.region OVERLAPS tract.region"
        " AND skymap = 'SkyMap1' AND tract = 0"),
    "where a pixel": where("detector_summary", "instrument = 'Cam1' AND htm7 = 253954"),
    "visits of a tract": data_ids(["visit", "tract"], "instrument = 'HSC' AND skymap = 'discrete/ci_hsc'"),
    "detectors of patches": data_ids(["visit", "detector", "patch"], "instrument = 'Cam1' AND skymap = 'SkyMap1'"),
    "pixels": pixels,
    "where a finer pixel": where(
        "visit_summary", "instrument = 'Cam1' AND visit.region OVERLAPS place",
        place=HealpixPixelization(9).pixel(PIXEL)),
    "where a circle": where("visit_summary", "instrument = 'HSC' AND visit.region OVERLAPS CIRCLE(320.8, -0.3, 0.2)"),
    "exposures of visits": data_ids(["visit", "exposure"], "instrument = 'LSSTCam'"),
    "which files are there": lambda butler: sorted(
        [str(one.id), str(existence)] for one, existence in butler._exists_many(all_refs(butler)).items()),
    "where files are": lambda butler: sorted(
        [str(one.id), butler.getURI(one).relative_to(butler._datastore.root)] for one in all_refs(butler)),
    "contents": contents,
}


def main(dsn: str, database: str, directory: str) -> None:
    butler = Server(dsn, "", directory).butler(database, writeable=False)
    for question, ask in QUESTIONS.items():
        print(json.dumps([question, ask(butler)]), flush=True)
    for element in ELEMENTS:
        found = butler.query_dimension_records(element, explain=False, limit=None)
        print(json.dumps([f"records of {element}", records(found)]))


if __name__ == "__main__":
    main(*sys.argv[1:])

#!/usr/bin/env python
"""Events of pods that have written files, and a repository to which the client has applied them.

    pod_events.py SERVER PREFIX DIRECTORY

SERVER is a superuser's DSN of a server without a database. A pod has a repository of its own, as
Prompt Processing's pods have: into it come the real LSSTCam and HSC records that the client ships,
and datasets by `put`. Their files are copied to where they belong under the root DIRECTORY of the
central datastore, and events say of them what has to be known.

Makes the databases `PREFIX_template`, a repository with two chains, and `PREFIX_client`, a copy to
which the client has applied the events. Writes JSON: {"template", "client", "events": [text]}.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from pathlib import Path

from client_server import Server, close
from event_application import apply_event
from lsst.daf.butler import Butler, CollectionType, DatasetRef, DatasetType
from lsst.daf.butler.tests import registry_data

EXPORTS = ["lsstcam-subset", "ci_hsc-subset", "ci_hsc-subset-skymap", "hsc-rc2-subset-v0", "base", "spatial"]
ELEMENTS = [
    "instrument", "skymap", "physical_filter", "detector", "day_obs", "group", "visit_system", "tract", "patch",
    "exposure", "visit", "visit_definition", "visit_detector_region", "visit_system_membership",
]
RUNS = ["pod/first", "pod/second", "pod/third"]
CHAINS = ["results", "everything"]
TYPES = {
    "visit_summary": ("instrument", "visit"),
    "detector_summary": ("instrument", "visit", "detector"),
    "steps": ("instrument", "exposure", "detector"),
    "tract_summary": ("skymap", "tract"),
    "sky_pixel": ("htm7", "band"),
    "settings": (),
}


def load(pod: Butler) -> None:
    """The records that the client ships."""
    for export in EXPORTS:
        pod.import_(filename=str(Path(registry_data.__file__).parent / f"{export}.yaml"), without_datastore=True)


def records(pod: Butler) -> dict[str, list]:
    """All of them, by element."""
    return {element: sorted(pod.query_dimension_records(element, limit=None), key=str) for element in ELEMENTS}


def put(pod: Butler, of: dict[str, list]) -> list[DatasetRef]:
    """Writes files of every type: some data IDs in several runs, so that the order of a chain shows."""
    refs = []
    for run in RUNS:
        pod.collections.register(run)
    for name, dimensions in TYPES.items():
        dataset_type = DatasetType(name, dimensions, "StructuredDataDict", universe=pod.dimensions)
        pod.registry.registerDatasetType(dataset_type)
        for number, data_id in enumerate(data_ids(of, name)):
            for run in RUNS[: 1 + number % len(RUNS)]:
                content = {"type": name, "run": run, "number": number, "half": number / 2, "none": None, "é": "ü"}
                refs.append(pod.put(content, name, data_id, run=run))
    return refs


def data_ids(of: dict[str, list], name: str) -> list[dict]:
    """A few that the records allow."""
    def data_id(record) -> dict:
        return dict(record.dataId.required)

    match name:
        case "visit_summary":
            return [data_id(record) for record in of["visit"]]
        case "detector_summary":
            return [data_id(record) for record in of["visit_detector_region"]][::2]
        case "steps":
            return [data_id(exposure) | {"detector": detector.id} for exposure in of["exposure"]
                    for detector in of["detector"] if detector.instrument == exposure.instrument][::2]
        case "tract_summary":
            return [data_id(record) for record in of["tract"]]
        case "sky_pixel":
            return [{"htm7": pixel, "band": band} for pixel in (131072, 200000, 262143) for band in ("g", "r")]
    return [{}]


def events(pod: Butler, of: dict[str, list], refs: list[DatasetRef]) -> list[str]:
    """Records first; then the datasets of each run, and the chains."""
    made = [event(records=[record for element in elements for record in of[element]])
            for elements in (ELEMENTS[:7], ELEMENTS[7:])]
    types = {ref.datasetType.name: ref.datasetType for ref in refs}
    types = [json.loads(one.to_simple().model_dump_json()) for one in types.values()]
    for run in RUNS:
        of_run = [ref for ref in refs if ref.run == run]
        for at in range(0, len(of_run), 5):
            made.append(event(datasets=[file(pod, ref) for ref in of_run[at: at + 5]], dataset_types=types))
        made.append(event(chains=[{"op": "prepend", "parent": "results", "children": [run]}]))
    made.append(event(chains=[{"op": "extend", "parent": "everything", "children": ["results", RUNS[0]]}]))
    made.append(event(chains=[{"op": "extend", "parent": "results", "children": [RUNS[1]]}]))
    return made


def event(*, records: list = (), **parts) -> str:
    simple = [json.loads(record.to_simple().model_dump_json()) for record in records]
    return json.dumps({"type": "pp-output", "dimension_records": simple, "datasets": []} | parts)


def file(pod: Butler, ref: DatasetRef) -> dict:
    """What the pod says of a file: as Prompt Processing's pods do, by `export`."""
    [exported] = pod._datastore.export([ref])
    return json.loads(exported.to_simple().model_dump_json())


def main(dsn: str, prefix: str, directory: str) -> None:
    server = Server(dsn, prefix, directory)
    with tempfile.TemporaryDirectory() as scratch:
        Butler.makeRepo(scratch)
        pod = Butler.from_config(scratch, writeable=True)
        load(pod)
        of = records(pod)
        made = events(pod, of, put(pod, of))
        for run in RUNS:
            shutil.copytree(Path(scratch) / run, Path(directory) / run)
    template = server.create_repository("template")
    butler = server.butler(template)
    for chain in CHAINS:
        butler.collections.register(chain, CollectionType.CHAINED)
    close(butler)
    client = server.create("client", template)
    butler = server.butler(client)
    for one in made:
        apply_event(butler, one)
    close(butler)
    print(json.dumps({"template": template, "client": client, "events": made}))


if __name__ == "__main__":
    main(*sys.argv[1:])

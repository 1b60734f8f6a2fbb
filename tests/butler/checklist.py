#!/usr/bin/env python
"""What the official client makes of the checklist's cases.

    checklist.py SERVER PREFIX

SERVER is a superuser's DSN of a server without a database. Makes a repository for all cases
together, and a copy for each that stands alone, in databases `PREFIX_template_N`, which nobody is
connected to afterwards; and copies of these, `PREFIX_client_N`, in which the client has applied the
cases' events one after another, in the existing service's way. An event that raises is refused;
errors that would end the service count as that too.

Writes JSON lines: for each repository {"template", "client", "idle", "cases": [{"name",
"uuid_prefix", "events": [text], "outcomes": [text]}]}. An outcome is empty, or the exception's
class; `idle` is an event that changes nothing.
"""

from __future__ import annotations

import json
import sys

import apply_with_butler
import checklist_datasets  # noqa: F401
import checklist_records  # noqa: F401
from apply_with_butler import PromptProcessingOutputEvent, insert_events, no_existence_checks
from checklist_case import CASES, Case
from client_server import Server, close
from lsst.daf.butler import Butler, CollectionType, DatasetType

TYPES = [
    ("dt1", ("instrument", "detector"), "int"), ("dt2", ("instrument", "detector"), "int"),
    ("dv", ("instrument", "detector", "visit"), "int"), ("cat", ("instrument", "detector", "visit"), "DataFrame"),
    ("dict1", ("instrument", "detector"), "StructuredDataDict"),
    ("list1", ("instrument", "detector"), "StructuredDataList"),
]


def fill(butler: Butler, cases: list[Case]) -> None:
    """What the repository has of the cases before their events."""
    for name, dimensions, storage_class in TYPES:
        butler.registry.registerDatasetType(DatasetType(name, dimensions, storage_class, universe=butler.dimensions))
    for case in cases:
        for run in case.run, case.other_run:
            butler.collections.register(run, CollectionType.RUN)
    events = [case.event(case.file(0, detector=1, path=f"{case.name}/a.json"), records=case.base()) for case in cases]
    insert_events(butler, [PromptProcessingOutputEvent.model_validate(event) for event in events])


def set_up(server: Server, database: str, butler: Butler, case: Case) -> None:
    for step in case.setup():
        if callable(step):
            step(butler)
        else:
            server.execute(database, step)


def outcome(butler: Butler, event: str) -> str:
    try:
        insert_events(butler, [PromptProcessingOutputEvent.model_validate_json(event)])
    except Exception as error:
        return type(error).__name__
    return ""


def main(dsn: str, prefix: str) -> None:
    no_existence_checks()
    apply_with_butler.stub_formatter = lambda name: None
    server = Server(dsn, prefix)
    cases = list(CASES.values())
    base = server.create_repository("template_0")
    butler = server.butler(base)
    fill(butler, cases)
    close(butler)
    # The repository that all others are copies of comes last, when it has its own cases' setup.
    groups = [[case for case in cases if not case.alone], *([case] for case in cases if case.alone)]
    for number, group in reversed(list(enumerate(groups))):
        template = server.create(f"template_{number}", base) if number else base
        butler = server.butler(template)
        for case in group:
            set_up(server, template, butler, case)
        close(butler)
        client = server.create(f"client_{number}", template)
        butler = server.butler(client)
        told = []
        for case in group:
            events = case.events()
            told.append({"name": case.name, "uuid_prefix": case.uuid_prefix, "events": events,
                         "outcomes": [outcome(butler, event) for event in events]})
        close(butler)
        idle = cases[0].records(cases[0].detector(1))
        print(json.dumps({"template": template, "client": client, "idle": json.dumps(idle), "cases": told}))


if __name__ == "__main__":
    main(*sys.argv[1:])

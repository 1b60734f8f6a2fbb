#!/usr/bin/env python
"""What the official client makes of the checklist's cases.

    checklist.py SERVER PREFIX

SERVER is a superuser's DSN of a server without a database. Makes a repository for all cases
together, and a copy for each that stands alone, in databases `PREFIX_template_N`, which nobody is
connected to afterwards; and copies of these, `PREFIX_once_N`, in which the client has applied the
cases' events one after another, in the existing service's way, and `PREFIX_twice_N`, in which it has
applied each of them a second time at once. An event that raises is refused; errors that would end
the service count as that too.

Writes JSON lines: for each repository {"template", "once", "twice", "root", "idle", "cases": [{"name",
"uuid_prefix", "events": [text], "outcomes": [text]}]}. An outcome, the same each time, is empty, or
the exception's class; `idle` is an event that changes nothing.
"""

from __future__ import annotations

import json
import sys

import apply_with_butler
import checklist_chains  # noqa: F401
import checklist_datasets  # noqa: F401
import checklist_records  # noqa: F401
from apply_with_butler import PromptProcessingOutputEvent, insert_events, no_existence_checks
from checklist_case import CASES, Case
from client_server import Server, close
from event_application import outcome
from lsst.daf.butler import Butler, CollectionType, DatasetType, StorageClass, StorageClassFactory

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


def apply(server: Server, database: str, cases: list[Case], times: int) -> list[list[str]]:
    """Applies all events, each so many times. Answers what became of each case's events."""
    butler = server.butler(database)
    outcomes = []
    for case in cases:
        met = [{outcome(butler, event) for _ in range(times)} for event in case.events()]
        assert all(len(same) == 1 for same in met), (case.name, met)
        outcomes.append([same.pop() for same in met])
    close(butler)
    return outcomes


def main(dsn: str, prefix: str) -> None:
    no_existence_checks()
    apply_with_butler.stub_formatter = lambda name: None
    StorageClassFactory().registerStorageClass(StorageClass("Added", pytype=dict))
    server = Server(dsn, prefix)
    Case.root = server.directory
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
        once, twice = (server.create(f"{times}_{number}", template) for times in ("once", "twice"))
        outcomes = apply(server, once, group, 1)
        again = apply(server, twice, group, 2)
        assert outcomes == again, [
            (case.name, *both) for case, *both in zip(group, outcomes, again, strict=True) if both[0] != both[1]]
        told = [{"name": case.name, "uuid_prefix": case.uuid_prefix, "events": case.events(), "outcomes": met}
                for case, met in zip(group, outcomes, strict=True)]
        idle = cases[0].records(cases[0].detector(1))
        print(json.dumps({
            "template": template, "once": once, "twice": twice, "root": Case.root, "idle": json.dumps(idle), "cases": told}))


if __name__ == "__main__":
    main(*sys.argv[1:])

#!/usr/bin/env python
"""Races: pairs of events that can't both have their way, or that meet.

    race_events.py SERVER PREFIX

SERVER is a superuser's DSN of a server without a database. Makes the database `PREFIX_template`, a
repository with what the races need, to which nobody is connected.

Writes JSON: {"template", "races": [RACE], "passes": [RACE]}, each RACE {"name", "held",
"contended"}: `held` is applied and not yet committed when somebody applies `contended`. Of the races
he has to wait; of the passes not.
"""

from __future__ import annotations

import json
import sys

from checklist import fill
from checklist_case import Case, region
from client_server import Server, close
from event_application import without_files
from lsst.daf.butler import CollectionType


def asks(c: Case, operation: str, *runs: str, records: tuple = ()) -> dict:
    return c.records(*records) | {"chains": [
        {"op": operation, "parent": f"chain/{c.name}", "children": list(runs)}]}


def first(c: Case, operation: str, *runs: str) -> dict:
    """With a record, so that there are rows to be merged."""
    return asks(c, operation, *runs, records=(c.detector(3),))


RACES = {
    "same": lambda c: (c.event(c.file(1)), c.event(c.file(1))),
    "uuid": lambda c: (c.event(c.file(1)), c.event(c.file(2))),
    "data_id": lambda c: (c.event(c.file(1)), c.event(c.file(1, detector=1, type="dt2"))),
    "neighbour": lambda c: (c.event(c.file(1)), c.event(c.file(2, type="dt2"), c.file(1))),
    "groups": lambda c: (c.event(c.file(1, type="dv", visit=100)), c.event(
        c.file(2), c.file(3, type="cat", visit=100), c.file(4, type="dv", visit=100, detector=1),
        c.file(1, type="dv", visit=100))),
    "records": lambda c: (c.records(c.visit(101), c.visit_detector_region(1, 101, region(101, 10, 0.02))),) * 2,
    "region": lambda c: (c.records(c.visit(101)), c.records(c.visit(101, region=region(103, 11), name="other"))),
    "values": lambda c: (c.records(c.detector(3, raft="first")), c.records(c.detector(3, raft="last"))),
    "name": lambda c: (c.records(c.detector(3, full_name="X")), c.records(c.detector(4, full_name="X"))),
    "run": lambda c: (c.event(c.file(1, run=f"new/{c.name}")), c.event(c.file(2, run=f"new/{c.name}", detector=1))),
    "runs": lambda c: (c.event(*(c.file(number, run=f"new/{number}/{c.name}") for number in (1, 2))), c.event(
        *(c.file(number + 2, run=f"new/{number}/{c.name}", detector=1, type="dt2") for number in (2, 1)))),
    "chain": lambda c: (first(c, "prepend", c.run), asks(c, "prepend", c.other_run)),
    "member": lambda c: (first(c, "prepend", c.run, c.other_run), asks(c, "prepend", c.other_run)),
    "remove": lambda c: (first(c, "prepend", c.run), asks(c, "remove", c.run)),
    "removed": lambda c: (first(c, "remove", c.other_run, c.run), asks(c, "extend", c.other_run)),
}
PASSES = {name: lambda c: (first(c, "remove", c.run), asks(c, "remove", c.other_run)) for name in ("client", "writer")}


def main(dsn: str, prefix: str) -> None:
    without_files()
    server = Server(dsn, prefix)
    template = server.create_repository("template")
    butler = server.butler(template)
    cases = {name: Case(name, lambda case: [], None, False) for name in RACES | PASSES}
    fill(butler, list(cases.values()))
    for case in cases.values():
        butler.collections.register(f"chain/{case.name}", CollectionType.CHAINED)
        butler.collections.redefine_chain(f"chain/{case.name}", [case.other_run, case.run])
    close(butler)

    def pairs(made: dict) -> list[dict]:
        return [dict(zip(("name", "held", "contended"), (name, *map(json.dumps, events(cases[name])))))
                for name, events in made.items()]

    print(json.dumps({"template": template, "races": pairs(RACES), "passes": pairs(PASSES)}))


if __name__ == "__main__":
    main(*sys.argv[1:])

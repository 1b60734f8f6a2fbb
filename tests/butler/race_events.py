#!/usr/bin/env python
"""Races: pairs of events that can't both have their way, or that meet.

    race_events.py SERVER PREFIX

SERVER is a superuser's DSN of a server without a database. Makes the database `PREFIX_template`, a
repository with what the races need, to which nobody is connected.

Writes JSON: {"template", "races": [{"name", "held", "contended"}]}: `held` is applied and not yet
committed when somebody applies `contended`, and has to wait.
"""

from __future__ import annotations

import json
import sys

from checklist import fill
from checklist_case import Case, region
from client_server import Server, close
from event_application import without_files
from lsst.daf.butler import CollectionType


def prepend(c: Case, *runs: str, records: tuple = ()) -> dict:
    return c.records(*records) | {"chains": [
        {"op": "prepend", "parent": f"chain/{c.name}", "children": list(runs)}]}


def first(c: Case, *runs: str) -> dict:
    """With a record, so that there are rows to be merged."""
    return prepend(c, *runs, records=(c.detector(3),))


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
    "chain": lambda c: (first(c, c.run), prepend(c, c.other_run)),
    "member": lambda c: (first(c, c.run, c.other_run), prepend(c, c.other_run)),
}


def main(dsn: str, prefix: str) -> None:
    without_files()
    server = Server(dsn, prefix)
    template = server.create_repository("template")
    butler = server.butler(template)
    cases = [Case(name, lambda case: [], None, False) for name in RACES]
    fill(butler, cases)
    for case in cases:
        butler.collections.register(f"chain/{case.name}", CollectionType.CHAINED)
    close(butler)
    races = [(case, RACES[case.name](case)) for case in cases]
    print(json.dumps({"template": template, "races": [
        {"name": case.name, "held": json.dumps(held), "contended": json.dumps(contended)}
        for case, (held, contended) in races]}))


if __name__ == "__main__":
    main(*sys.argv[1:])

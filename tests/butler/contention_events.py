#!/usr/bin/env python
"""What clients and a stream contend for, round by round.

    contention_events.py SERVER PREFIX ROUNDS CLIENTS RUNS

SERVER is a superuser's DSN of a server without a database. Makes the database `PREFIX_template`, a
repository with what the rounds need, to which nobody is connected, and `PREFIX_client`, a copy to
which the client alone has applied everything, the stream's part of each round first.

Writes JSON: {"template", "client", "rounds": [{"shared": [text], "stream": text, "clients":
[text], "runs": [text]}]}. All parties apply the `shared` events of a round, and each its own one: the stream's, and
one for each client. All of a round are independent of each other. `runs` are those that clients
register first: all that events name, or none if RUNS is `within`.
"""

from __future__ import annotations

import json
import sys

from checklist import TYPES
from checklist_case import Case, region
from client_server import Server, close
from event_application import apply_event, without_files
from lsst.daf.butler import Butler, CollectionType, DatasetType

CHAIN = "everybody"
# Dimensions of the types that rounds register, each a new group at first.
GROUPS = [
    ("instrument", "detector", "exposure"), ("instrument", "detector", "group"), ("instrument", "physical_filter"),
    ("instrument", "detector", "day_obs"), ("band", "instrument", "detector"), ("instrument", "detector", "visit", "skymap"),
]
MEMBERS = 4


class Rounds:
    def __init__(self, clients: int, registers_runs: bool):
        self.registers_runs = registers_runs
        self.case = Case("contention", lambda case: [], None, False)
        self.parties = ["stream", *(f"client{number}" for number in range(clients))]
        self.datasets = 0

    def file(self, data_id: dict | None = None, **ref) -> dict:
        self.datasets += 1
        return self.case.file(self.datasets, data_id, **ref)

    def round(self, number: int) -> dict:
        shared = [json.dumps(event) for event in (self.visit(number), self.dataset_type(number))]
        own = [json.dumps(self.own(number, party)) for party in self.parties]
        runs = [f"shared/{number}", *(run for party in self.parties[1:] for run in self.runs(number, party))]
        runs = runs if self.registers_runs else []
        return {"shared": shared, "stream": own[0], "clients": own[1:], "runs": runs}

    def runs(self, number: int, party: str) -> list[str]:
        return [f"{party}/{number}/{member}" for member in range(MEMBERS)]

    def visit(self, number: int) -> dict:
        """New records of nearly all elements, with overlaps, and datasets of two groups in a new run."""
        case, visit = self.case, 1000 + number
        records = [case.group(f"group{number}"), case.exposure(visit, group=f"group{number}"), case.visit(visit),
                   *(case.visit_detector_region(detector, visit, region(number % 300, 10, 0.02)) for detector in (2, 1)),
                   case.tract(10 + number, region(number % 300, 10, 0.3)), case.patch(10 + number, 1, None)]
        run = f"shared/{number}"
        files = [self.file(run=run, type=type, detector=detector, **extra) for detector in (2, 1)
                 for type, extra in (("dv", {"visit": visit}), ("dt1", {}), ("cat", {"visit": visit}), ("dt2", {}))]
        return case.event(*reversed(files), records=records)

    def dataset_type(self, number: int) -> dict:
        """A new type, of a group that is new in the first rounds, and a dataset of it."""
        case = self.case
        group = GROUPS[number % len(GROUPS)]
        values = {"instrument": case.instrument, "detector": 1, "exposure": 100, "visit": 100, "group": "g1",
                  "day_obs": 20250101, "physical_filter": "G", "band": "g", "skymap": case.skymap}
        name = f"type{number}"
        data_id = {dimension: values[dimension] for dimension in group}
        return case.event(self.file(data_id, type=name, run=f"shared/{number}"), types=[case.type(name, group)])

    def own(self, number: int, party: str) -> dict:
        """Members of the chain, of this party's alone, in runs that only it writes."""
        runs = self.runs(number, party)
        event = self.case.event(*(self.file(run=run) for run in runs))
        half = MEMBERS // 2
        return event | {"chains": [
            {"op": "prepend", "parent": CHAIN, "children": runs[:half]},
            {"op": "extend", "parent": CHAIN, "children": runs[half:]},
        ]}


def fill(butler: Butler, rounds: Rounds) -> None:
    for name, dimensions, storage_class in TYPES:
        butler.registry.registerDatasetType(DatasetType(name, dimensions, storage_class, universe=butler.dimensions))
    butler.collections.register(CHAIN, CollectionType.CHAINED)
    apply_event(butler, json.dumps(rounds.case.records(*rounds.case.base())))
    butler.collections.register(rounds.case.run)


def main(dsn: str, prefix: str, count: str, clients: str, runs: str) -> None:
    without_files()
    server = Server(dsn, prefix)
    template = server.create_repository("template")
    rounds = Rounds(int(clients), runs != "within")
    butler = server.butler(template)
    fill(butler, rounds)
    close(butler)
    made = [rounds.round(number) for number in range(int(count))]
    client = server.create("client", template)
    butler = server.butler(client)
    for one in made:
        for event in [*one["shared"], one["stream"], *one["clients"]]:
            apply_event(butler, event)
    close(butler)
    print(json.dumps({"template": template, "client": client, "rounds": made}))


if __name__ == "__main__":
    main(*sys.argv[1:])

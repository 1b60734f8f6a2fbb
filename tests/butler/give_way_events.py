#!/usr/bin/env python
"""Events of which a client and a writer can't do one each, and then the other's, without a deadlock.

    give_way_events.py SERVER PREFIX

SERVER is a superuser's DSN of a server without a database. Makes the database `PREFIX_template`, a
repository with a chain, to which nobody is connected.

Writes JSON: {"template", "record", "chain", "both"}: an event with a dimension record, one that
changes the chain, and one that does both; the last two add different members.
"""

from __future__ import annotations

import json
import sys

from checklist import fill
from checklist_case import Case
from client_server import Server, close
from event_application import without_files
from lsst.daf.butler import CollectionType

CHAIN = "chain"


def main(dsn: str, prefix: str) -> None:
    without_files()
    server = Server(dsn, prefix)
    template = server.create_repository("template")
    butler = server.butler(template)
    case = Case("give_way", lambda case: [], None, False)
    fill(butler, [case])
    butler.collections.register(CHAIN, CollectionType.CHAINED)
    close(butler)

    def prepend(run: str) -> dict:
        return {"chains": [{"op": "prepend", "parent": CHAIN, "children": [run]}]}

    record = case.records(case.detector(3))
    print(json.dumps({
        "template": template, "record": json.dumps(record),
        "chain": json.dumps(case.records() | prepend(case.run)),
        "both": json.dumps(record | prepend(case.other_run)),
    }))


if __name__ == "__main__":
    main(*sys.argv[1:])

#!/usr/bin/env python
"""A client that does what it is told, line by line.

    client_session.py SERVER DATABASE DIRECTORY

Reads JSON lines and answers each by one: the class of the exception that it raised and what that
says, both empty if there was none.

    {"apply": EVENT}     applies an event, in the existing service's way
    {"hold": EVENT}      the same in a transaction, which stays open
    {"commit": true}     ends it
    {"run": NAME}        registers a run
"""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack

from client_server import Server
from event_application import apply_event, without_files
from lsst.daf.butler import CollectionType


def main(dsn: str, database: str, directory: str) -> None:
    without_files()
    butler = Server(dsn, "", directory).butler(database)
    open_transaction = ExitStack()

    def hold(event: str) -> None:
        open_transaction.enter_context(butler.transaction())
        apply_event(butler, event)

    commands = {
        "apply": lambda event: apply_event(butler, event),
        "hold": hold,
        "commit": lambda _: open_transaction.close(),
        "run": lambda name: butler.collections.register(name, CollectionType.RUN),
    }
    for line in sys.stdin:
        [(name, argument)] = json.loads(line).items()
        said = ["", ""]
        try:
            commands[name](argument)
        except Exception as error:
            said = [type(error).__name__, str(error)]
        print(json.dumps(said), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])

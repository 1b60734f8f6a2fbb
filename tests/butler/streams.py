#!/usr/bin/env python
"""Large streams of events, and repositories to which the client has applied them.

    streams.py SERVER PREFIX STREAM SEED

SERVER is a superuser's DSN of a server without a database; STREAM is one of `STREAMS`. Makes the
database `PREFIX_template`, a repository as it is before the stream, to which nobody is connected;
`PREFIX_once`, a copy to which the client has applied the stream; and `PREFIX_twice`, a copy of that
to which it has applied the stream once more.

Writes JSON: {"template", "events": [text], "once", "twice"}, where the last two are {"database",
"outcomes": [text]}: nothing for an event that was applied, or the class of the exception that
refused it.
"""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import make_events
import pod_events
import stream_of_groups
from apply_with_butler import PromptProcessingOutputEvent, insert_events
from client_server import Server, close
from event_application import apply_event, without_files
from lsst.daf.butler import Butler, DatasetType, SerializedDatasetType

# Events that the client applies at a time.
BATCH = 50


@dataclass
class Made:
    """Events, and the dataset types that are registered before they come."""

    events: list[str]
    types: list[dict]


@dataclass
class Stream:
    make: Callable[[int], Made]
    # Has a client apply the events, and answers their outcomes.
    apply: Callable[[Butler, list[str]], list[str]]


def of_visits(options: str) -> Callable[[int], Made]:
    """Events of visits, from the real records, by `make_events.py`."""
    def make(seed: int) -> Made:
        with tempfile.TemporaryDirectory() as directory, contextlib.redirect_stdout(sys.stderr):
            file = Path(directory) / "events.jsonl"
            make_events.main([str(file), *options.split(), "--seed", str(seed), "--hsc-every", "3"])
            types = json.loads(Path(f"{file}.dataset_types.json").read_text())
            return Made(file.read_text().splitlines(), types if "--dataset-types none" in options else [])
    return make


def in_batches(butler: Butler, events: list[str]) -> list[str]:
    """For a stream in which no event contradicts another one, and nothing depends on their order. The
    client refuses a batch that has an event twice: of such it is given one."""
    distinct = list(dict.fromkeys(events))
    for at in range(0, len(distinct), BATCH):
        insert_events(butler, [PromptProcessingOutputEvent.model_validate_json(event)
                               for event in distinct[at: at + BATCH]])
    return [""] * len(events)


def one_by_one(butler: Butler, events: list[str]) -> list[str]:
    """Each event in a transaction: of one that is refused no records stay, where Forebay differs on
    purpose from the existing service."""
    def outcome(event: str) -> str:
        try:
            with butler.transaction():
                apply_event(butler, event)
        except Exception as error:
            return type(error).__name__
        return ""

    return [outcome(event) for event in events]


def by_import(butler: Butler, events: list[str]) -> list[str]:
    """The records as the client itself loads them. It has them for good: once more is nothing more."""
    if not list(butler.registry.queryDimensionRecords("instrument")):
        pod_events.load(butler)
    return [""] * len(events)


STREAMS = {
    # Thousands of datasets, as production has them: types are registered, data IDs are whole.
    "registered": Stream(of_visits(
        "--visits 12 --detectors 12 --types 28 --dataset-types none --uuid v7 --shuffle --duplicate 0.2"
    ), in_batches),
    # Each event defines the types that it names; data IDs are no more than required; files of two datasets.
    "defined": Stream(of_visits(
        "--visits 9 --detectors 8 --types 24 --required-only --multi-ref --null-regions 0.2 --shuffle --duplicate 0.2"
    ), in_batches),
    # Which of two events wins, or whether one is refused, depends on which comes first.
    "conflicts": Stream(of_visits(
        "--visits 6 --detectors 4 --types 8 --dataset-types none --multi-ref --null-regions 0.2 --shuffle"
        " --duplicate 0.2 --conflicts 60 --dimension-changes 20"
    ), one_by_one),
    # Types of all kinds of groups, of which the repository has none.
    "groups": Stream(lambda seed: Made(stream_of_groups.make(seed), []), in_batches),
    # All records that the client ships, and no datasets.
    "shipped": Stream(lambda seed: Made(stream_of_groups.shipped(seed), []), by_import),
}


def apply(server: Server, database: str, stream: Stream, events: list[str]) -> dict:
    butler = server.butler(database)
    outcomes = stream.apply(butler, events)
    close(butler)
    return {"database": database, "outcomes": outcomes}


def main(dsn: str, prefix: str, name: str, seed: str) -> None:
    without_files()
    server = Server(dsn, prefix)
    stream = STREAMS[name]
    made = stream.make(int(seed))
    template = server.create_repository("template")
    butler = server.butler(template)
    for one in made.types:
        butler.registry.registerDatasetType(
            DatasetType.from_simple(SerializedDatasetType(**one), universe=butler.dimensions))
    close(butler)
    once = apply(server, server.create("once", template), stream, made.events)
    twice = apply(server, server.create("twice", once["database"]), stream, made.events)
    print(json.dumps({"template": template, "events": made.events, "once": once, "twice": twice}))


if __name__ == "__main__":
    main(*sys.argv[1:])

#!/usr/bin/env python
"""The official client's part in the benchmark of Butler visits.

    bench.py prepare SERVER PREFIX DIRECTORY --visits N --detectors N --types N
    bench.py apply SERVER PREFIX DIRECTORY [--batch 500]
    bench.py dump SERVER PREFIX DIRECTORY --events N

SERVER is a superuser's DSN of a server without a database.

`prepare` makes the events, and writes those of the visits into `events.jsonl`, one a line; and a
repository with all that they need but their runs, in the database `PREFIX_template`.
`apply` has the client apply the events to a copy of it, `PREFIX_client`, in the existing service's
way, prints `done` and the seconds from the first batch to the last commit, and waits to be killed.
`dump` writes the rows that this has added, for a program that inserts them: those of so many
events make a folder, named by its number, with a file for each table, `PLACE.TABLE`, in COPY's
binary format. Parents have lower places.
"""

from __future__ import annotations

import argparse
import pathlib
import signal
import subprocess
import sys
import time

import psycopg2
from apply_with_butler import PromptProcessingOutputEvent, insert_events, no_existence_checks
from apply_with_butler import apply as apply_events
from client_server import Server, close
from lsst.daf.butler import DatasetType, SerializedDatasetType
from pydantic import TypeAdapter

# Each table's rows with the number of the event that they first come with. `at` knows the events:
# visit, exposure, "group", detector, number; `first` the first of each visit; `dataset_at` the
# datasets' events. A repository of few dataset types does not have all of them.
ROWS = {
    "collection": "select t.*, 0 as number from collection t where type = 1",
    "run": "select t.*, 0 as number from run t",
    "collection_summary_instrument": "select t.*, 0 as number from collection_summary_instrument t",
    "collection_summary_dataset_type": "select t.*, 0 as number from collection_summary_dataset_type t",
    "day_obs": "select t.*, 0 as number from day_obs t",
    "group": 'select t.*, first.number from "group" t join first on first."group" = t.name',
    "exposure": "select t.*, first.number from exposure t join first on first.exposure = t.id",
    "visit": "select t.*, first.number from visit t join first on first.visit = t.id",
    "visit_definition": "select t.*, first.number from visit_definition t join first using (visit)",
    "visit_system_membership": "select t.*, first.number from visit_system_membership t join first using (visit)",
    "visit_skypix_overlap": "select t.*, first.number from visit_skypix_overlap t join first using (visit)",
    "visit_detector_region": "select t.*, at.number from visit_detector_region t join at using (visit, detector)",
    "visit_detector_region_skypix_overlap":
        "select t.*, at.number from visit_detector_region_skypix_overlap t join at using (visit, detector)",
    "dataset": "select t.*, d.number from dataset t join dataset_at d on d.dataset_id = t.id",
    **{tags: f"select t.*, d.number from {tags} t join dataset_at d using (dataset_id)"
       for tags in ("dataset_tags_00000001", "dataset_tags_00000002", "dataset_tags_00000003")},
    "dataset_location": "select t.*, d.number from dataset_location t join dataset_at d using (dataset_id)",
    "file_datastore_records": "select t.*, d.number from file_datastore_records t join dataset_at d using (dataset_id)",
}

NUMBERS = """
create temporary table at as
    select v.visit, d.exposure, e."group", v.detector,
        row_number() over (order by v.visit, v.detector) - 1 as number
    from visit_detector_region v join visit_definition d using (instrument, visit)
        join exposure e on e.id = d.exposure and e.instrument = d.instrument;
create temporary table first as select distinct on (visit) * from at order by visit, number;
create temporary table dataset_at (dataset_id uuid primary key, number bigint);
"""


def prepare(server: Server, directory: pathlib.Path, visits: int, detectors: int, types: int) -> None:
    made = directory / "made.jsonl"
    subprocess.run(
        [sys.executable, pathlib.Path(__file__).with_name("make_events.py"), made, "--visits", str(visits),
         "--detectors", str(detectors), "--types", str(types), "--hsc-every", "0", "--dataset-types", "none"],
        check=True, stdout=sys.stderr)
    butler = server.butler(server.create_repository("template"))
    definitions = TypeAdapter(list[SerializedDatasetType]).validate_json(
        pathlib.Path(f"{made}.dataset_types.json").read_text())
    for definition in definitions:
        butler.registry.registerDatasetType(DatasetType.from_simple(definition, universe=butler.dimensions))
    with made.open() as lines, (directory / "events.jsonl").open("w") as events:
        insert_events(butler, [PromptProcessingOutputEvent.model_validate_json(next(lines))])
        events.writelines(lines)
    close(butler)


def apply(server: Server, directory: pathlib.Path, batch: int) -> None:
    server.execute("postgres", f"drop database if exists {server.prefix}_client with (force)")
    database = server.create("client", f"{server.prefix}_template")
    no_existence_checks()
    butler = server.butler(database)
    lines = (directory / "events.jsonl").read_text().splitlines()
    server.execute(database, "checkpoint")
    start = time.monotonic()
    for first in range(0, len(lines), batch):
        events = [PromptProcessingOutputEvent.model_validate_json(line) for line in lines[first: first + batch]]
        _, failed = apply_events(butler, events)
        if failed:
            raise failed[0][1]
    print("done", time.monotonic() - start, flush=True)
    signal.pause()


def dump(server: Server, directory: pathlib.Path, events: int) -> None:
    connection = psycopg2.connect(server.dsn, dbname=f"{server.prefix}_client")
    cursor = connection.cursor()
    cursor.execute(NUMBERS)
    cursor.execute("select tablename::text from pg_tables where schemaname = 'public'")
    there = {table for table, in cursor.fetchall()}
    rows = {table: query for table, query in ROWS.items() if table in there}
    for tags in (table for table in rows if table.startswith("dataset_tags_")):
        cursor.execute("select attname from pg_attribute where attrelid = %s::regclass and attname in "
                       "('visit', 'exposure', 'group')", (tags,))
        (of,), = cursor.fetchall()
        cursor.execute(f'insert into dataset_at select dataset_id, number from {tags} join at using ("{of}", detector)')
    cursor.execute("analyze at, first, dataset_at")
    cursor.execute("select count(*) from at")
    (count,), = cursor.fetchall()
    for place, (table, query) in enumerate(rows.items()):
        cursor.execute(f"create temporary table rows as {query}")
        cursor.execute("create index on rows (number)")
        cursor.execute("select string_agg(quote_ident(attname), ', ' order by attnum) from pg_attribute "
                       "where attrelid = 'rows'::regclass and attnum > 0 and attname <> 'number'")
        (columns,), = cursor.fetchall()
        for number, first in enumerate(range(0, count, events)):
            folder = directory / "rows" / f"{number:04}"
            folder.mkdir(parents=True, exist_ok=True)
            with (folder / f"{place:02}.{table}").open("wb") as file:
                cursor.copy_expert(f"copy (select {columns} from rows where number >= {first} "
                                   f"and number < {first + events}) to stdout binary", file)
        cursor.execute("drop table rows")
    connection.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, numbers in {"prepare": {"visits": 2, "detectors": 189, "types": 40}, "apply": {"batch": 500},
                          "dump": {"events": 100}}.items():
        command = commands.add_parser(name)
        command.add_argument("server")
        command.add_argument("prefix")
        command.add_argument("directory", type=pathlib.Path)
        for number, default in numbers.items():
            command.add_argument(f"--{number}", type=int, default=default)
    arguments = vars(parser.parse_args())
    do = {"prepare": prepare, "apply": apply, "dump": dump}[arguments.pop("command")]
    server = Server(arguments.pop("server"), arguments.pop("prefix"))
    do(server, **arguments)


if __name__ == "__main__":
    main()

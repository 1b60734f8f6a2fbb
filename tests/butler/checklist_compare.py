#!/usr/bin/env python
"""Say in which rows pairs of Butler databases differ, as compare.py compares them.

    checklist_compare.py A_DSN B_DSN [A_DSN B_DSN ...]

Writes a JSON line [pair, table, "A" or "B", row] for each row that only one side has, and one for
each difference of a table's definition, of which the row begins with DDL. A table that only one
side has is a difference of its definition.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator

import compare
from compare import DB


def refuse(message: str) -> None:
    sys.exit(f"broken, whatever the other one is: {message}")


def differences(a: DB, b: DB) -> Iterator[tuple[str, str, str]]:
    for table in sorted(a.canon.keys() ^ b.canon.keys()):
        yield table, "A" if table in a.canon else "B", "DDL table"
    for table in sorted(a.canon.keys() & b.canon.keys()):
        sides = ("A", a, a.canon[table]), ("B", b, b.canon[table])
        of_a, of_b = (side.ddl(name, True, True) for _, side, name in sides)
        yield from ((table, "A", f"DDL {item}") for item in sorted(of_a - of_b, key=str))
        yield from ((table, "B", f"DDL {item}") for item in sorted(of_b - of_a, key=str))
        of_a, of_b = (Counter(line.decode() for line in side.rows(name, False)) for _, side, name in sides)
        yield from ((table, "A", line) for line in sorted((of_a - of_b).elements()))
        yield from ((table, "B", line) for line in sorted((of_b - of_a).elements()))


def main(dsns: list[str]) -> None:
    compare.diff = refuse
    for pair, (a, b) in enumerate(zip(dsns[::2], dsns[1::2], strict=True)):
        a, b = DB(a, None, []), DB(b, None, [])
        for table, side, row in differences(a, b):
            print(json.dumps([pair, table, side, row]))
        for side in a, b:
            side.sequences()
            side.con.close()


if __name__ == "__main__":
    main(sys.argv[1:])

"""The checklist's cases about chained collections (C).

Each has the runs A, B and C, the chain `chain` of A and B at 0 and 1, the chain `outer` of that one,
and the chain `empty`.
"""

from __future__ import annotations

from checklist_case import Case, add
from lsst.daf.butler import Butler, CollectionType


def collection(c: Case, name: str) -> str:
    """The name of the case's own collection."""
    return f"{name}/{c.name}"


def op(operation: str, parent: str, *children: str):
    """What an event asks of a chain, in collections of a case."""
    return lambda c: {"op": operation, "parent": collection(c, parent),
                      "children": [collection(c, child) for child in children]}


def prepend(parent: str, *children: str):
    return op("prepend", parent, *children)


def extend(parent: str, *children: str):
    return op("extend", parent, *children)


def remove(parent: str, *children: str):
    return op("remove", parent, *children)


def asks(c: Case, *operations, event: dict | None = None) -> dict:
    return (event or c.records()) | {"chains": [operation(c) for operation in operations]}


def collections(c: Case) -> list:
    def register(butler: Butler) -> None:
        for name in "A", "B", "C":
            butler.collections.register(collection(c, name), CollectionType.RUN)
        for name, *members in ("chain", "A", "B"), ("outer", "chain"), ("empty",):
            parent = collection(c, name)
            butler.collections.register(parent, CollectionType.CHAINED)
            butler.collections.redefine_chain(parent, [collection(c, member) for member in members])
    return [register]


def chains(name: str, *events, setup=lambda c: []) -> None:
    """A case of events that ask this of chains; each is a tuple of operations, or makes an event."""
    add(name, lambda c: [asks(c, *event) if isinstance(event, tuple) else event(c) for event in events],
        setup=lambda c: [*collections(c), *setup(c)])


def registered(name: str, kind: CollectionType):
    return lambda c: [lambda butler: butler.collections.register(collection(c, name), kind)]


# Positions.
chains("C01", (prepend("empty", "A"),))
chains("C02", (prepend("empty", "A"),), (prepend("empty", "B"),))
chains("C03", (prepend("chain", "C"),))
chains("C04", (prepend("chain", "C", "B"),))
chains("C04b", (prepend("chain", "C", "A", "C", "A"),), (extend("empty", "B", "A", "B"),))
chains("C04c", (prepend("chain", "A"),), (prepend("chain", "B"),), (prepend("chain", "B", "A"),))
chains("C04d", lambda c: asks(c) | {"chains": [
    {"op": "prepend", "parent": collection(c, "chain"), "children": collection(c, "C")}]})
chains("C05", (extend("empty", "A", "B"),))
chains("C06", (extend("chain", "C", "A"),), (extend("chain", "B"),))
chains("C07", (remove("chain", "A"),), (extend("chain", "A"),), (remove("chain", "A", "B"),), (extend("chain", "C"),))
chains("C07b", (remove("chain", "C"),), (remove("empty", "A"),), (remove("outer", "chain", "empty"),))
chains("C08", (prepend("chain", "empty"),), (extend("chain", "tagged"),), (prepend("empty", "calibration"),),
       setup=lambda c: [*registered("tagged", CollectionType.TAGGED)(c),
                        *registered("calibration", CollectionType.CALIBRATION)(c)])
chains("C09c", (prepend("chain"),), (extend("chain"),), (remove("chain"),), (prepend("none"),), (extend("A"),))
chains("C15", (prepend("empty", "A"),), (extend("empty", "B"),))
# Each time that the event comes its members change places.
chains("C15b", (prepend("empty", "A"), prepend("empty", "B")), (extend("chain", "C"), extend("chain", "A")))
chains("C15c", (remove("chain", "A"), prepend("chain", "C"), extend("chain", "A"), prepend("empty", "chain")))


# What can't be.
chains("C07c", (remove("chain", "none"),), (remove("chain", "A", "none"),), (remove("none", "A"),), (remove("A", "B"),))
chains("C10", (prepend("chain", "chain"),), (extend("empty", "empty"),))
chains("C10b", (prepend("chain", "outer"),), (extend("chain", "C", "outer"),))
chains("C10c", (extend("empty", "outer"),), (prepend("chain", "empty"),), (extend("outer", "empty"),))
chains("C10d", (remove("chain", "outer"),), (remove("chain", "chain"),))
# A cycle that is broken before, or closed by the event itself.
chains("C10e", (remove("outer", "chain"), extend("chain", "outer")))
chains("C10f", (extend("empty", "outer"), extend("chain", "empty")))
chains("C11", (extend("none", "A"),), (prepend("none", "A"),))
chains("C11b", (extend("A", "B"),), (prepend("tagged", "B"),), setup=registered("tagged", CollectionType.TAGGED))
chains("C11c", (extend("chain", "none"),), (prepend("chain", "C", "none"),))
chains("C12", (prepend("none", "neither"),), (extend("A", "none"),))
chains("C17", lambda c: asks(c, extend("chain", "*")), lambda c: asks(c, extend("chain", "?")),
       lambda c: asks(c, extend("*", "C")), (extend("chain", "per%cent_"),),
       setup=registered("per%cent_", CollectionType.RUN))
chains("C17b", (extend("chain", "C\0"),), (extend("chain\0", "C"),))


def at(c: Case, position: int) -> str:
    """Puts C into `empty`, there."""
    return ("insert into collection_chain (parent, position, child) select p.collection_id, "
            f"{position}, m.collection_id from collection p, collection m "
            f"where (p.name, m.name) = ('{collection(c, 'empty')}', '{collection(c, 'C')}')")


chains("C14", (extend("empty", "A"),), (prepend("empty", "A"),), setup=lambda c: [at(c, 32767)])
chains("C14b", (prepend("empty", "A"),), (extend("empty", "B"),), setup=lambda c: [at(c, -32768)])
chains("C14c", (extend("empty", "A", "B"),), (extend("empty", "A"),), setup=lambda c: [at(c, 32766)])
# One collection at two places, which only others than the client leave.
chains("C14d", (prepend("empty", "C", "A"),), (remove("empty", "C"),), setup=lambda c: [at(c, 3), at(c, 5)])

# Chains and datasets of one event.
chains("C20", lambda c: asks(c, prepend("chain", "new"), event=c.event(c.file(1, run=collection(c, "new")))))
chains("C20b", (extend("chain", "new"),), lambda c: c.event(c.file(1, run=collection(c, "new"))),
       (extend("chain", "new"),))
chains("C20c", lambda c: asks(c, extend("chain", "new"), event=c.event(c.file(1, run=collection(c, "new"), detector=99))),
       (extend("chain", "new"),), (extend("chain", "C"),))
chains("C20d", lambda c: asks(c, extend("chain", "none"), event=c.event(c.file(1), records=[c.detector(3)])),
       (extend("chain", "C"),))
chains("C20e", (extend("chain", "C"), extend("chain", "none")), (prepend("empty", "A"),))
chains("C20f", lambda c: asks(c, extend("chain", "C"), event=c.event(c.file(0, detector=1))))

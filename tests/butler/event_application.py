"""Applying `pp-output` events with the official client, what they ask of chains included."""

from __future__ import annotations

import json

import apply_with_butler
from apply_with_butler import PromptProcessingOutputEvent, insert_events, no_existence_checks
from lsst.daf.butler import Butler

OPERATIONS = {"prepend": "prepend_chain", "extend": "extend_chain", "remove": "remove_from_chain"}


def without_files() -> None:
    """Events are applied whether the files that they name, and the formatters' classes, exist or not."""
    no_existence_checks()
    for_installed_formatters = apply_with_butler.stub_formatter
    apply_with_butler.stub_formatter = lambda name: None if name is None else for_installed_formatters(name)


def apply_event(butler: Butler, event: str) -> None:
    """Applies one event. Its datasets stay when what it asks of chains raises."""
    insert_events(butler, [PromptProcessingOutputEvent.model_validate_json(event)])
    for chain in json.loads(event).get("chains", []):
        getattr(butler.collections, OPERATIONS[chain["op"]])(chain["parent"], chain["children"])


def outcome(butler: Butler, event: str) -> str:
    """Applies one event: nothing, or the class of the exception that refuses it."""
    try:
        apply_event(butler, event)
    except Exception as error:
        return type(error).__name__
    return ""

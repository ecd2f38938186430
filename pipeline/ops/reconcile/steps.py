"""The steps of a reconciliation: their names, and what each counts.

A step of which there are several has a name of its own after a point: `index.trip`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

SOURCE: Final = "source"
ARCHIVE: Final = "archive"
DEAD_LETTERS: Final = "dead_letters"
LAKE: Final = "lake"
INDEX: Final = "index"
REPLICATE: Final = "replicate"


class Described(NamedTuple):
    """A kind of step for people: its title, and what it counts."""

    title: str
    unit: str


KINDS_OF_STEPS: Final[Mapping[str, Described]] = {
    SOURCE: Described("Source", "records"),
    ARCHIVE: Described("Archive", "records"),
    DEAD_LETTERS: Described("Dead letters", "rejects"),
    LAKE: Described("Lake", "rows"),
    INDEX: Described("Index", "documents"),
    REPLICATE: Described("Replica", "events"),
}
"""Every kind of step, in the order of the report."""


def named(kind: str, name: str) -> str:
    """Return the step of a kind that has several, such as index.trip."""
    return f"{kind}.{name}"


def kind_of(step: str) -> str:
    """Return a step's kind: index of index.trip."""
    return step.partition(".")[0]


def name_of(step: str) -> str:
    """Return a step's own name: trip of index.trip; empty if its kind has only one."""
    return step.partition(".")[2]

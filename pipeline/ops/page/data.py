"""What the HTML page shows: a reconciliation, and of the demo also how the job ran.

A reconciliation is taken as the JSON that `reconcile --json` prints, so that a page can be written
again from a file. None always means that a figure is unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from pipeline.ops.page.markup import count, size
from pipeline.ops.reconcile.inventory import Inventory
from pipeline.ops.reconcile.report import KINDS, Kind, Rejects
from pipeline.ops.reconcile.steps import (
    DEAD_LETTERS,
    KINDS_OF_STEPS,
    LAKE,
    SOURCE,
    kind_of,
    name_of,
)


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A finding of a step; `names` are the first positions or ids."""

    kind: Kind
    count: int
    is_error: bool
    meaning: str
    names: list[str]


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One row of a reconciliation; a kind of error that was not judged has the count None."""

    step: str
    due: int
    observed: int
    counts: dict[Kind, int | None]
    figures: dict[str, int]
    findings: list[Found]

    @property
    def kind(self) -> str:
        """The kind of step, such as index."""
        return kind_of(self.step)

    @property
    def title(self) -> str:
        """The step's title for people, such as Index trip."""
        return f"{KINDS_OF_STEPS[self.kind].title} {name_of(self.step)}".rstrip()

    @property
    def unit(self) -> str:
        """What the step counts, such as documents."""
        return KINDS_OF_STEPS[self.kind].unit

    @property
    def errors(self) -> dict[Kind, int]:
        """How many errors there are of each kind that has any."""
        return {kind: count for kind, count in self.counts.items() if count}


class Reconciled(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of a reconciliation."""

    ok: bool
    steps: list[Step]
    bounds: list[str]
    notes: list[str]
    problems: list[str]
    rejects: list[Rejects] | None
    lake_files: Inventory | None

    def of(self, kind: str) -> list[Step]:
        """Return the steps of a kind, in the order of the report."""
        return [step for step in self.steps if step.kind == kind]

    def first(self, kind: str) -> Step | None:
        """Return the first step of a kind, None if there is none."""
        return next(iter(self.of(kind)), None)


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured between the sample before and this one.

    `seconds` since the job runs; records and events a second; milliseconds of lag.
    """

    seconds: float
    decoded: float | None = None
    indexed: float | None = None
    lag_mean: int | None = None
    lag_p99: int | None = None


class Phase(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a run, in seconds since the job runs."""

    name: str
    since: float
    until: float


class Course(msgspec.Struct, frozen=True, kw_only=True):
    """How a job ran over time; `lag_until` is the step at whose end lag was measured."""

    lag_until: str
    samples: list[Sample]
    phases: list[Phase]


class Fact(msgspec.Struct, frozen=True, kw_only=True):
    """One figure at the top of the page, as text."""

    name: str
    value: str
    about: str = ""


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """All that a page shows; `about` says in a line what was judged, and when."""

    title: str
    about: str
    facts: list[Fact]
    reconciled: Reconciled
    problems: list[str]
    course: Course | None = None


def facts(reconciled: Reconciled) -> list[Fact]:
    """Return the figures of a reconciliation for the top of the page."""
    source, letters = reconciled.first(SOURCE), reconciled.first(DEAD_LETTERS)
    lake, files = reconciled.first(LAKE), reconciled.lake_files
    pending = source.figures.get("pending") if source else None
    stored, partitions = (files.bytes, files.partitions) if files else (None, None)
    each = f"{files.files / files.partitions:.1f}" if files and files.partitions else count(None)
    return [
        Fact(
            name="records",
            value=count(source.due if source else None),
            about=f"{count(pending)} pending",
        ),
        Fact(name="rows in the lake", value=count(lake.observed if lake else None)),
        Fact(name="rejects", value=count(letters.observed if letters else None)),
        Fact(
            name="files of the lake",
            value=count(files.files if files else None),
            about=f"{size(stored)}; {each} in each of {count(partitions)} partitions",
        ),
    ]


def reconciled(report: Mapping[str, Any]) -> Reconciled:
    """Return a reconciliation from its JSON."""
    steps = [
        {
            **step,
            "due": step["in"],
            "observed": step["out"],
            "counts": {kind: step[kind] for kind in KINDS},
        }
        for step in report["steps"]
    ]
    return msgspec.convert({**report, "steps": steps}, Reconciled)

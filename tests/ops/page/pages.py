"""A page of a faultless reconciliation, to be changed by tests."""

from __future__ import annotations

from typing import Any

import msgspec

from connectors.s3.store import Stored
from pipeline.ops.page.data import Course, Page, Phase, Sample, facts, reconciled
from pipeline.ops.reconcile.inventory import inventory
from pipeline.ops.reconcile.report import KINDS

FIGURES = {"dead_letters": 2050, "control": 20, "redriven_copies": 0, "pending": 0}
REJECTS = [
    {"step": "decode", "reason": "wrong_type", "count": 1200},
    {"step": "decode", "reason": "missing_field", "count": 600},
    {"step": "decode", "reason": "not_json", "count": 249},
    {"step": "index", "reason": "index_rejected", "count": 1},
]


def step(name: str, due: int, figures: dict[str, int] | None = None, **changed: Any) -> Any:
    """One step as `reconcile --json` prints it."""
    counts = dict.fromkeys(KINDS, 0)
    observed = {"in": due, "out": due}
    return {"step": name, **observed, **counts, "figures": figures or {}, "findings": [], **changed}


def files() -> list[Stored]:
    """Files of 40 partitions, of all sizes."""
    return [
        Stored(f"trip/pickup_location={zone:03d}/year=2018/month=03/part-{n}", 3000 * 4**n)
        for zone in range(1, 41)
        for n in range(zone % 9 + 1)
    ]


def outcome(**changed: Any) -> dict[str, Any]:
    """A reconciliation as `reconcile --json` prints it."""
    steps = [
        step("source", 208_490, FIGURES),
        step("archive", 208_490),
        step("dead_letters", 2_050, {"of_index": 1, "of_replicate": 0}),
        step("lake", 206_420, {"files": 7_123, "bytes": 99_000_000}),
        step("index.trip", 112_825, {"documents": 112_825}, doubled=None, misplaced=None),
        step("index.charge", 46_801, misplaced=None),
        step("index.rating", 23_402, misplaced=None),
        step("replicate.airport", 21_511, {"refused": 0}, misplaced=None),
    ]
    return {
        "ok": True,
        "steps": steps,
        "bounds": [f"trips/{part}@0..52122" for part in range(4)],
        "notes": ["replica airport has a filter: what is missing there isn't judged"],
        "problems": [],
        "rejects": REJECTS,
        "lake_files": msgspec.to_builtins(inventory(files())),
        **changed,
    }


def course() -> Course:
    """A backlog worked off in a minute, then records live; one sample has no lag."""
    samples = [
        Sample(
            seconds=2.0 * n,
            decoded=0.0 if n < 5 else 4000.0 + 300 * (n % 3) if n < 30 else 2000.0,
            indexed=None if n < 5 else 3500.0 + 200 * (n % 4) if n < 32 else 1980.0,
            lag_mean=None if n < 6 else 9000 + 700 * n if n < 30 else 700 + n,
            lag_p99=None if n < 6 else 12000 + 900 * n if n < 30 else 1900 + n,
        )
        for n in range(42)
    ]
    phases = [
        Phase(name="backlog", since=0, until=60),
        Phase(name="live", since=60, until=84),
    ]
    return Course(samples=samples, phases=phases, lag_until="the index")


def page(*, with_course: bool = False, **changed: Any) -> Page:
    """The page of it."""
    report = reconciled(outcome(**changed))
    return Page(
        title="Reconciliation",
        about="conf/local.yaml, 2026-11-29 12:00 UTC",
        facts=facts(report),
        reconciled=report,
        problems=report.problems,
        course=course() if with_course else None,
    )

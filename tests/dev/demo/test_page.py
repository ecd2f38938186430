"""The demo's page."""

from __future__ import annotations

import msgspec

from dev.demo.page import page_of
from pipeline.ops.page.html import html
from tests.ops.page.pages import course, outcome


def test_the_page_has_the_demos_own_figures() -> None:
    written = html(page_of(report()))
    for text in ("2,967 / s", "787 ms", "99 in 100 below 2.8 s", "11", "0 failed", "146 s"):
        assert text in written
    assert "Demo with kafka" in written


def test_a_lag_that_was_not_measured_is_unknown() -> None:
    assert "99 in 100 below unknown" in html(page_of({**report(), "lag_ms": {}}))


def report() -> dict[str, object]:
    """A report as the demo writes it, as far as the page reads it."""
    return {
        "sources": "kafka",
        "reconciled": outcome(),
        "events_per_second": 2967,
        "lag_ms": {"mean": 893, "p50": 787, "p99": 2760, "max": 3000},
        "checkpoints": 11,
        "checkpoints_failed": 0,
        "seconds": 146.4,
        "problems": [],
        "made_at": "2026-11-29 12:00 UTC",
        "course": msgspec.to_builtins(course()),
    }

"""What the demo concludes from a reconciliation and from what was made."""

from __future__ import annotations

from typing import Any

import pytest

from dev.demo import proof
from dev.demo.made import CONTROL, EVENT, Made
from dev.demo.proof import Expectation, differences, figures
from pipeline.ops.reconcile.database import Database
from pipeline.ops.reconcile.report import Finding, Report, Row

REASONS = {"wrong_type": 2, "not_finite": 1}


def due() -> Expectation:
    """Six events of four ids, of them three at an airport; three rejects; a watermark."""
    found = Expectation()
    for number, zone in enumerate((1, 132, 138, 5, 6, 7)):
        found.add(Made(b"{}", b"1", EVENT, "trip", min(number, 3), pickup_location_id=zone))
    for reason in ("wrong_type", "not_finite", "wrong_type", CONTROL):
        found.add(Made(b"{", None, reason))
    return found


def report(**changed: Any) -> Report:
    """A faultless reconciliation of it; `changed` are how many records a sink holds."""
    held = {"archive": 10, "lake": 6, "dead_letters": 3, "index_trip": 4, "copy": 3} | changed
    rows = [
        Row("source", held.get("source", 10), 10, {"control": held.get("control", 1)}),
        Row("archive", 10, held["archive"]),
        Row("dead_letters", 3, held["dead_letters"], {"of_index": 0}),
        Row("lake", 6, held["lake"]),
        Row("index.trip", 4, held["index_trip"], not_judged=("doubled", "misplaced")),
        Row("replicate.copy", 3, held["copy"], not_judged=("misplaced",)),
    ]
    return Report(rows, [], [], {}, 0, Database())


def test_a_faultless_run_differs_in_nothing() -> None:
    assert differences(due(), report(), REASONS) == []


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"source": 9}, "records in the source: 9 instead of the 10 that were made"),
        ({"control": 0}, "control events: 0 instead of the 1 that were made"),
        ({"archive": 9}, "archived records: 9 instead of the 10 that were made"),
        ({"lake": 7}, "rows of the lake: 7 instead of the 6 that were made"),
        ({"index_trip": 3}, "documents of trip: 3 instead of the 4 that were made"),
        ({"copy": 2}, "events in replicate.copy: 2 instead of the 3 that were made"),
    ],
)
def test_another_count_is_named(changed: dict[str, int], problem: str) -> None:
    assert differences(due(), report(**changed), REASONS) == [problem]


def test_rejects_for_another_reason_are_named() -> None:
    found = differences(due(), report(), {"wrong_type": 1, "not_finite": 1, "invalid_json": 1})
    assert found == [
        "rejects for invalid_json: 1 instead of the 0 that were made",
        "rejects for wrong_type: 1 instead of the 2 that were made",
    ]


def test_copies_that_a_guarantee_allows_count_once() -> None:
    found = report(copy=4)
    copies = Finding("replicate.copy", "doubled", 1, "twice", lambda _: ["x"], is_error=False)
    found.row("replicate.copy").findings.append(copies)
    assert differences(due(), found, REASONS) == []
    assert figures(due(), found)["replica_copy_duplicates"] == 1


def test_the_figures_have_their_names() -> None:
    found = report()
    for step, count in (("lake", 2), ("index.trip", 1)):
        found.row(step).findings += [
            Finding(step, "missing", count, "so", lambda _: []),
            Finding(step, "wrong", count, "so", lambda _: []),
        ]
    shown = figures(due(), found)
    assert shown["produced"] == 10
    assert shown["rejected"] == {"not_finite": 1, "wrong_type": 2}
    assert shown["lake_rows"] == 6
    assert (shown["lake_missing"], shown["wrong_content"], shown["wrong_partition"]) == (2, 2, 0)
    assert (shown["index_missing"], shown["index_stale_wrong"]) == (1, 1)
    assert shown["index_docs"] == {"trip": 4}
    assert not {"index_duplicates", "index_misplaced", "replica_copy_misplaced"} & shown.keys()
    assert (
        figures(due(), Report(report().rows[:4], [], [], {}, 0, Database()))["index_missing"]
        is None
    )
    errors = {name for name, value in shown.items() if proof.style(name, str(value)) == "bold red"}
    assert errors == {"lake_missing", "wrong_content", "index_missing", "index_stale_wrong"}
    assert proof.style("index_missing", "0") == "green"
    assert proof.style("index_missing", "not looked at") is None
    assert proof.style("replica_copy_duplicates", "1") is None

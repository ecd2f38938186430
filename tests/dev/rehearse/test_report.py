"""A rehearsal that stops half-way, or of which one thing failed, has not held."""

from __future__ import annotations

import io

from rich.console import Console

from dev.rehearse.report import Proofs, render


def test_it_holds_only_when_it_came_to_its_end_and_all_held() -> None:
    proofs = Proofs()
    proofs.add("package", "done", True, "1 byte")
    assert not proofs.ok
    proofs.finished = True
    assert proofs.ok
    proofs.add("alarm Down", "provoked", False, "downtime: 0")
    assert not proofs.ok


def test_the_report_counts_by_how_it_was_shown() -> None:
    proofs = Proofs(finished=True)
    proofs.add("alarm SearchRed", "on given samples", True, "1")
    proofs.add("alarm Down", "provoked", True, "1")
    told = proofs.as_dict(12.34)
    assert told["ok"] is True
    assert told["seconds"] == 12.3
    assert told["counts"] == {
        "done": 0, "provoked": 1, "threshold lowered": 0, "on given samples": 1, "reconciled": 0,
    }  # fmt: skip
    assert told["proofs"][0]["how"] == "on given samples"


def test_a_plain_line_for_each_and_the_notes() -> None:
    proofs = Proofs(notes=["bucket policy: left out"])
    proofs.add("alarm Down", "provoked", False, "downtime: 0")
    out = io.StringIO()
    render(proofs, Console(file=out))
    assert out.getvalue().splitlines() == [
        "FAILED alarm Down [provoked]: downtime: 0",
        "note: bucket policy: left out",
        "0 of 1 held",
    ]

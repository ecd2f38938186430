"""What is to be reconciled, in words."""

from __future__ import annotations

from pipeline.ops.reconcile.options import Options, instant


def test_the_words_name_everything_that_limits_a_reconciliation() -> None:
    assert Options().sentence() == "up to the last completed checkpoint"
    limited = Options(
        complete=True,
        from_archive=True,
        values=False,
        since=instant("--since", "2026-10-17T00:00:00Z"),
        until=instant("--until", "2026-10-18T02:00:00+02:00"),
    )
    assert limited.sentence() == (
        "to the end, arrived from 2026-10-17T00:00:00.000+00:00 on, arrived before"
        " 2026-10-18T00:00:00.000+00:00, compared with the archive, without values"
    )

"""What is to be reconciled, in words."""

from __future__ import annotations

import msgspec
import pytest

from pipeline.config.model import Config, Job
from pipeline.ops.reconcile.options import Options, instant, settle_for


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


@pytest.mark.parametrize(
    ("sections", "seconds"),
    [
        ({"lake": {"path": "s3a://bucket/lake"}}, 60 + 2 * 10 + 30),
        ({"lake": {"path": "s3a://bucket/lake", "file_seconds": 900}}, 900 + 2 * 10 + 30),
        ({"archive": {"path": "s3a://bucket/archive", "file_seconds": 300}}, 300 + 2 * 10 + 30),
        ({"archive": {"kafka_topic": "archive"}}, 2 * 10 + 30),
    ],
)
def test_it_settles_as_long_as_rows_may_be_collected(
    sections: dict[str, dict[str, object]], seconds: float
) -> None:
    given = {"source": {"kafka_topics": ["trips"]}, "job": {"checkpoint_seconds": 10}, **sections}
    config = msgspec.convert(given, Config)
    assert settle_for(config) == seconds
    assert settle_for(msgspec.structs.replace(config, job=Job())) == seconds + 2 * 50

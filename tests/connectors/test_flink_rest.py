"""What a user is told when Flink refuses a job."""

from __future__ import annotations

import pytest

from connectors.flink.rest import reason

_FAILED = "Caused by: java.lang.IllegalStateException: Failed to rollback to savepoint X."


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            f"{_FAILED} Cannot map checkpoint/savepoint state for operator"
            " 14958e03bb5ccaf36265b735d7ec3bc2 to the new program",
            "--allow-dropped-state",
        ),
        (
            f"{_FAILED} Max parallelism mismatch. Cannot map operator"
            " bf842eb3dddab5a56bbdc44cd624447c with max parallelism 128 to new program",
            "was taken with job.max_parallelism 128, which cannot change",
        ),
        ("streaming-etl: the topic x is not there\nsomething else", "the topic x is not there"),
        ("a\n\tat b.c(D.java:1)\n\nCaused by: e", "a\nCaused by: e"),
    ],
)
def test_what_flink_said_is_put_into_the_users_words(said: str, told: str) -> None:
    assert told in reason(said)
    assert "\tat " not in reason(said)


def test_our_own_words_are_told_alone() -> None:
    assert reason("noise\nstreaming-etl: mend it\nnoise") == "streaming-etl: mend it"

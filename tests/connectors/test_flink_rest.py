"""What a user is told when Flink refuses a job."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from connectors.flink.rest import reason

_FAILED = "Caused by: java.lang.IllegalStateException: Failed to rollback to savepoint X."


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the files of this module's tests apart."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


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
        ("a\n\tat b.c(D.java:1)\n\nCaused by: e\nCaused by: f\n\tat b.c(D.java:1)", "f. All that"),
        ("a\nb", "b. All that"),
        ("", "Flink said nothing"),
    ],
)
def test_what_flink_said_is_put_into_the_users_words(said: str, told: str) -> None:
    assert told in reason(said)
    assert "\tat " not in reason(said)


def test_all_that_flink_said_is_in_the_file_that_is_named() -> None:
    output = "a\n\tat b.c(D.java:1)\nCaused by: d.E: f\n\tat b.c(D.java:1)\n"
    told = reason(output)
    path = Path(told.removeprefix("d.E: f. All that Flink said is in ").removesuffix("."))
    assert path.read_text() == output
    assert path.stat().st_mode & 0o077 == 0, "a configuration may be in it"


def test_our_own_words_are_told_alone() -> None:
    assert reason("noise\nstreaming-etl: mend it\nnoise") == "streaming-etl: mend it"

"""What is kept of the runs of a job, and of two that begin at once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from connectors.errors import UserError
from pipeline.start import announced, known_jobs

FIRST, SECOND, OTHER = "1" * 32, "2" * 32, "3" * 32


def test_a_job_is_kept_before_it_is_submitted(tmp_path: Path) -> None:
    folder = f"file://{tmp_path}"
    assert known_jobs(folder, {}) == frozenset()
    with announced(folder, {}, FIRST, "trips", frozenset()):
        kept = json.loads((tmp_path / "_streaming-etl-jobs" / f"{FIRST}.json").read_text())
    assert (kept["name"], kept["submitted_ms"] > 1.7e12) == ("trips", True)
    assert known_jobs(folder, {}) == {FIRST}


def test_one_that_was_refused_is_forgotten_and_one_in_doubt_is_not(tmp_path: Path) -> None:
    folder = f"file://{tmp_path}"
    with (
        pytest.raises(UserError, match="bad savepoint"),
        announced(folder, {}, FIRST, "trips", frozenset()),
    ):
        raise UserError("bad savepoint")
    assert known_jobs(folder, {}) == frozenset()
    with pytest.raises(TimeoutError), announced(folder, {}, SECOND, "trips", frozenset()):
        raise TimeoutError
    assert known_jobs(folder, {}) == {SECOND}


def test_the_second_of_two_runs_that_began_at_once_is_refused(tmp_path: Path) -> None:
    folder = f"file://{tmp_path}"
    with announced(folder, {}, OTHER, "rides", frozenset()):
        pass
    known = known_jobs(folder, {})
    with announced(folder, {}, FIRST, "trips", frozenset()):
        message = f"another `run` of trips is submitting the job {FIRST}"
        with (
            pytest.raises(UserError, match=message),
            announced(folder, {}, SECOND, "trips", known),
        ):
            raise AssertionError("it must not submit")
        with announced(folder, {}, SECOND, "taxis", known):
            pass
    assert known_jobs(folder, {}) == {OTHER, FIRST, SECOND}


def test_without_a_folder_nothing_is_kept() -> None:
    assert known_jobs("", {}) == frozenset()
    with announced("", {}, FIRST, "trips", frozenset()):
        pass

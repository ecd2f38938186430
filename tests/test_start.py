"""What is kept of the runs of a job, and of two that begin at once."""

from __future__ import annotations

import json
import os
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from connectors.errors import UserError
from connectors.s3.store import Store, open_store
from pipeline.start import announced, known_jobs

FIRST, SECOND, OTHER = "1" * 32, "2" * 32, "3" * 32


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(f"file://{tmp_path}")


def submits(
    store: Store | None,
    job_id: str,
    name: str = "trips",
    *,
    known: frozenset[str] = frozenset(),
    runs: bool = False,
) -> AbstractContextManager[None]:
    return announced(store, (job_id, name), known, lambda _: runs)


def test_a_job_is_kept_before_it_is_submitted(store: Store) -> None:
    assert known_jobs(store) == frozenset()
    with submits(store, FIRST):
        kept = json.loads(store.read(f"_streaming-etl-jobs/{FIRST}.json"))
    assert (kept["name"], kept["submitted_ms"] > 1.7e12) == ("trips", True)
    assert known_jobs(store) == {FIRST}


def test_one_that_was_refused_is_forgotten_and_one_in_doubt_is_not(store: Store) -> None:
    with pytest.raises(UserError, match="bad savepoint"), submits(store, FIRST):
        raise UserError("bad savepoint")
    assert known_jobs(store) == frozenset()
    with pytest.raises(UserError, match="no answer"), submits(store, FIRST, runs=True):
        raise UserError("no answer")
    with pytest.raises(TimeoutError), submits(store, SECOND, known=known_jobs(store)):
        raise TimeoutError
    assert known_jobs(store) == {FIRST, SECOND}


def test_the_second_of_two_runs_that_began_at_once_is_refused(store: Store) -> None:
    with submits(store, OTHER, "rides"):
        pass
    known = known_jobs(store)
    with submits(store, FIRST):
        message = f"another `run` of trips is submitting the job {FIRST}"
        with pytest.raises(UserError, match=message), submits(store, SECOND, known=known):
            raise AssertionError("it must not submit")
        with submits(store, SECOND, "taxis", known=known):
            pass
    assert known_jobs(store) == {OTHER, FIRST, SECOND}


def test_one_that_is_still_being_submitted_is_not_known_yet(store: Store, tmp_path: Path) -> None:
    marker = tmp_path / "_streaming-etl-jobs" / f"{FIRST}.submitting"
    with submits(store, FIRST):
        assert known_jobs(store) == frozenset()
        os.utime(marker, (1e9, 1e9))  # left by a run that was killed long ago
        assert known_jobs(store) == {FIRST}
    assert known_jobs(store) == {FIRST}
    assert not marker.exists()


def test_without_a_store_nothing_is_kept() -> None:
    assert known_jobs(None) == frozenset()
    with submits(None, FIRST):
        pass

"""Which job `stop` ends, and `top` shows, if it is given none."""

from __future__ import annotations

import pytest

from connectors.errors import UserError
from connectors.flink.rest import Job
from pipeline.cluster import find_job, the_only_job

RUNNING, FAILING = Job("1a", "etl", "RUNNING"), Job("2b", "other", "RESTARTING")
ENDED = Job("3c", "etl", "FINISHED")


def test_the_only_job_that_has_not_ended_is_taken() -> None:
    assert the_only_job([ENDED, RUNNING]) == RUNNING
    assert the_only_job([FAILING]) == FAILING


def test_none_is_not_guessed() -> None:
    with pytest.raises(UserError, match="no job runs on the cluster"):
        the_only_job([ENDED])


def test_one_of_several_is_not_guessed() -> None:
    told = "2 jobs .* id of one:\n  1a  etl  RUNNING\n  2b  other  RESTARTING"
    with pytest.raises(UserError, match=told):
        the_only_job([RUNNING, ENDED, FAILING])


def test_a_job_is_found_by_its_id_also_when_it_has_ended() -> None:
    assert find_job([RUNNING, ENDED], "3c") == ENDED
    for unknown in ("", "4d"):
        with pytest.raises(UserError, match=f"has no job '{unknown}'"):
            find_job([RUNNING], unknown)

"""Which job `stop` ends if it is given none."""

from __future__ import annotations

import pytest

from connectors.errors import UserError
from connectors.flink.rest import Job
from pipeline.cluster_commands import the_only_job

RUNNING, FAILING = Job("1a", "etl", "RUNNING"), Job("2b", "other", "RESTARTING")
ENDED = Job("3c", "etl", "FINISHED")


def test_the_only_job_that_has_not_ended_is_taken() -> None:
    assert the_only_job([ENDED, RUNNING]) == "1a"
    assert the_only_job([FAILING]) == "2b"


def test_none_is_not_guessed() -> None:
    with pytest.raises(UserError, match="no job on the cluster is left to stop"):
        the_only_job([ENDED])


def test_one_of_several_is_not_guessed() -> None:
    told = "2 jobs .* by its id: 1a etl RUNNING; 2b other RESTARTING"
    with pytest.raises(UserError, match=told):
        the_only_job([RUNNING, ENDED, FAILING])

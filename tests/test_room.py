"""Buckets that cannot fit into the heap of the cluster's tasks are refused before the start."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from connectors.errors import UserError
from connectors.flink.rest import Cluster
from pipeline.config.model import Config
from pipeline.room import collected_bytes, refuse_too_little
from tests.config.test_config import check
from tests.flink_api import answering

MIB = 1 << 20


@contextmanager
def cluster(*heaps: int, slots: int = 2, **options: str) -> Iterator[Cluster]:
    """A REST API with TaskManagers of this many MiB of task heap, and Flink's options."""
    managers = [
        {"slotsNumber": slots, "memoryConfiguration": {"taskHeap": heap * MIB}} for heap in heaps
    ]
    named = [{"key": key.replace("_", "."), "value": text} for key, text in options.items()]
    answers = {"/taskmanagers": {"taskmanagers": managers}, "/jobmanager/config": named}
    with answering(answers) as url:
        yield Cluster(url)


def config(lake: dict[str, Any] | None = None, **changed: dict[str, Any]) -> Config:
    return check(lake={"path": "s3a://b-1/lake", **(lake or {})}, **changed)


@pytest.mark.parametrize(
    ("given", "mib"),
    [
        (config(), 4 * 24 + 16),  # and the archive's; the dead letters are in a topic
        (config({"buckets": 2, "bucket_bytes": 64 * MIB}), 64 + 16),
        (config({"buckets": 2}, archive={"path": "s3a://b-1/a", "bucket_bytes": MIB}), 24 + 1),
        (config(job={"max_parallelism": 4}), 2 * 24 + 16),
        (check("archive", job={"discard": True}), 0),
    ],
)
def test_a_task_holds_its_full_buckets(given: Config, mib: int) -> None:
    assert collected_bytes(given, parallelism=2) == mib * MIB


def test_what_does_not_fit_is_refused_and_what_may_not_is_warned_of() -> None:
    given = config(job={"parallelism": 2})
    with cluster(640) as ample:
        assert refuse_too_little(given, ample) == ""
    with cluster(2000, 400) as scarce:
        told = refuse_too_little(given, scarce)
    assert "warning: full buckets" in told and "112 MiB in each task" in told
    assert "200 MiB of heap" in told and "state.backend.type to rocksdb" in told
    with cluster(200) as little, pytest.raises(UserError, match="has 100 MiB of heap"):
        refuse_too_little(given, little)


def test_the_clusters_parallelism_counts_where_the_job_has_none() -> None:
    given = config({"buckets": 8})
    with cluster(640, parallelism_default="4") as four:
        assert refuse_too_little(given, four) == ""
    with cluster(640) as one:
        assert "208 MiB in each task" in refuse_too_little(given, one)


def test_nothing_is_said_of_state_on_disk_or_of_a_cluster_without_task_managers() -> None:
    with cluster(1, state_backend_type="rocksdb") as on_disk:
        assert refuse_too_little(config(), on_disk) == ""
    with cluster(1, state_backend="rocksdb") as by_the_former_name:
        assert refuse_too_little(config(), by_the_former_name) == ""
    with cluster() as empty:
        assert refuse_too_little(config(), empty) == ""

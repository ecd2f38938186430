"""A stream of rubbish stops the job instead of draining into the dead letters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from connectors.errors import JobFailed
from connectors.flink.rest import wait_for
from dev.servers.stack import Stack
from tests.job.harness import PATIENCE_SECONDS, Harness

LIMIT = {"reject_limit_ratio": 0.5, "reject_limit_records": 500}


def test_too_many_rejects_end_the_job_with_the_reason(stack: Stack, tmp_path: Path) -> None:
    overrides: dict[str, Any] = {"decode": LIMIT, "job": {"max_failures": 1}}
    with Harness(stack=stack, name="limit", folder=tmp_path, overrides=overrides) as harness:
        producer = Producer({"bootstrap.servers": harness.servers})
        for number in range(6_000):
            producer.produce(harness.topic, value=f"rubbish {number}".encode())
        assert producer.flush(60) == 0
        with pytest.raises(JobFailed, match=r"RejectLimitExceeded: decode rejected") as caught:
            job = harness.start()
            wait_for(
                lambda: job.cluster.running(job.job_id) and False,
                PATIENCE_SECONDS,
                "it did not end",
            )
    assert "invalid_json" in str(caught.value)

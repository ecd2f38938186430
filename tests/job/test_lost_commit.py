"""The lake's files become visible by CompleteMultipartUpload: what the job does when that fails.

The TaskManager reaches the bucket through a proxy that answers NoSuchUpload as AWS does; the local
server alone would answer 200, and no test could see a lost commit.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from connectors.flink.rest import wait_for
from connectors.kafka.options import Kafka
from connectors.kafka.reader import committed_offsets
from dev.demo.generate import Recipe, generate
from dev.servers.stack import Stack
from pipeline.ops.reconcile.options import Options
from pipeline.ops.reconcile.run import reconcile
from pipeline.ops.systems import systems
from pipeline.progress import Steps
from tests.honest_s3 import HonestS3, Upload, before_buckets
from tests.job.harness import Harness

LOST, ANSWERED = "lost-commit", "lost-answer"
RECIPE = Recipe(events=300, seed=61)
PATIENCE_SECONDS = 60.0


@pytest.fixture(scope="module")
def proxy(stack: Stack) -> Iterator[HonestS3]:
    """A TaskManager that reaches two buckets through the proxy."""
    with before_buckets(stack, LOST, ANSWERED) as made:
        yield made


def test_commit_of_an_aborted_upload_stops_the_job_and_reconcile_finds_what_is_lost(
    stack: Stack, proxy: HonestS3, tmp_path: Path
) -> None:
    aborted: list[Upload] = []

    def abort(upload: Upload) -> None:
        if not aborted and upload["Key"].startswith("lake/"):
            aborted.append(upload)
            wait_for(lambda: _is_covered(job), PATIENCE_SECONDS, "no offset was committed")
            proxy.client.abort_multipart_upload(**upload)

    with _job(stack, LOST, tmp_path) as job, proxy.hooks(before=abort):
        job.produce(generate(RECIPE))
        job.start()
        _wait_failure(job, "Object does not exist and MultiPart Upload .* is not valid")
        place = {name: aborted[0][name] for name in ("Bucket", "Key")}
        proxy.client.put_object(**place, Body=b"an object of another length")
        _wait_failure(job, "conflicting lengths")
        proxy.client.delete_object(**place)
        job.submitted.cluster.cancel(job.submitted.job_id)

    opened = systems(job.config_path, stack.environment())
    report = reconcile(opened, Options(settle_seconds=5), Steps(Console(quiet=True)))
    assert not report.ok
    assert report.row("lake").count("missing")


def test_commit_whose_answer_was_lost_is_found_and_nothing_is_doubled(
    stack: Stack, proxy: HonestS3, tmp_path: Path
) -> None:
    lost: list[Upload] = []

    def loses_first(upload: Upload) -> bool:
        if lost or not upload["Key"].startswith("lake/"):
            return False
        lost.append(upload)
        return True

    with _job(stack, ANSWERED, tmp_path) as job, proxy.hooks(loses=loses_first):
        sent = job.produce(generate(RECIPE))
        job.start()
        wait_for(lambda: lost, PATIENCE_SECONDS, "no file of the lake was committed")
        job.drain()
        job.stop(drain=True)

    assert len(lost) == 1
    assert not proxy.knows(lost[0])
    assert job.verdict(sent).problems() == []


def _job(stack: Stack, name: str, folder: Path) -> Harness:
    return Harness(stack=stack, name=name, folder=folder, overrides={"index": None})


def _is_covered(job: Harness) -> bool:
    """Return whether the source has committed an offset: the checkpoint's records are due then."""
    cluster = Kafka(bootstrap_servers=job.servers)
    offsets = committed_offsets(
        cluster, topic=job.topic, group_id=job.name, partitions=range(job.partitions)
    )
    return any(offsets.values())


def _wait_failure(job: Harness, cause: str) -> None:
    """Wait until the newest failure of the job has a cause like this."""
    cluster, job_id = job.submitted.cluster, job.submitted.job_id
    wait_for(
        lambda: job.failures() and re.search(cause, cluster.root_cause(job_id)),
        PATIENCE_SECONDS,
        f"the job did not fail because of {cause!r}",
    )

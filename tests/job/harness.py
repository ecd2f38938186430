"""One run of the real job on the real servers, with names of its own."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from confluent_kafka import IsolationLevel, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from connectors.flink.rest import wait_for
from connectors.kafka.options import Kafka
from connectors.kafka.reader import SourceProgress
from connectors.s3.store import Store, open_store
from dev.demo.made import Made
from dev.servers import kinesis
from dev.servers.job_watch import ArchivedRecords, wait_checkpoints
from dev.servers.kafka import create_topics
from dev.servers.s3 import create_bucket
from dev.servers.stack import Stack
from pipeline.submit import Submitted, submit
from tests.job import warm_client
from tests.oracle import Chosen, Sent, Verdict
from tests.oracle_read import Reader, examine
from tests.sending import HeadersOf, produce, produce_kinesis

PATIENCE_SECONDS = 240.0
FILE_SECONDS = 1
_CLOSED_SECONDS = FILE_SECONDS + 2.0
"""A bucket is closed by its age within that time: several that are due together take turns."""
REDRIVE_KEY = "of the tests, no secret, but long enough"


@dataclass(kw_only=True)
class Harness:
    """Topics, bucket, index prefix and configuration of one job; `name` keeps them apart."""

    stack: Stack
    name: str
    folder: Path
    overrides: Mapping[str, Mapping[str, Any] | None] = field(default_factory=dict)
    topics: tuple[str, ...] = ("trips",)
    streams: tuple[str, ...] = ()
    partitions: int = 3
    job: Submitted | None = None
    produced: int = 0

    def __post_init__(self) -> None:
        for topic in self.topics:
            create_topics(
                self.servers,
                source=f"{self.name}-{topic}",
                dead_letters=self.dead_letters,
                partitions=self.partitions,
            )
        for stream in self.streams:
            kinesis.create_stream(f"{self.name}-{stream}", endpoint=self.endpoint, shards=2)
        create_bucket(self.name, endpoint=self.stack.environment()["S3_ENDPOINT"])
        self.config_path.write_text(yaml.safe_dump(self.config()))

    def __enter__(self) -> Harness:
        return self

    def __exit__(self, *failure: object) -> None:
        """Free the slots for the next test, whatever happened."""
        if self.job:
            self.job.cluster.cancel(self.job.job_id)

    @property
    def servers(self) -> str:
        return self.stack.environment()["KAFKA_BOOTSTRAP_SERVERS"]

    @property
    def endpoint(self) -> str:
        return self.stack.environment()["KINESIS_ENDPOINT"]

    @property
    def stream(self) -> str:
        return f"{self.name}-{self.streams[0]}"

    @property
    def topic(self) -> str:
        return f"{self.name}-{self.topics[0]}"

    @property
    def dead_letters(self) -> str:
        return f"{self.name}-dead-letters"

    @property
    def config_path(self) -> Path:
        return self.folder / f"{self.name}.yaml"

    def config(self) -> dict[str, Any]:
        """The local configuration under our own names; a section in `overrides` is merged over,
        and one that is None there is left out."""
        sections: dict[str, dict[str, Any]] = {
            "kafka": {"bootstrap_servers": self.servers},
            "kinesis": {
                "endpoint": self.endpoint,
                "region": self.stack.environment()["AWS_REGION"],
            },
            "source": {
                "kafka_topics": [f"{self.name}-{topic}" for topic in self.topics],
                "kafka_group_id": self.name,
                "kinesis_streams": [f"{self.name}-{stream}" for stream in self.streams],
                "kinesis_poll_milliseconds": 200,
                "kinesis_discover_shards_seconds": 1,
            },
            "decode": {"schemas": str(Path(__file__).parents[2] / "schemas")},
            "archive": {"path": f"s3a://{self.name}/archive"},
            "lake": {"path": f"s3a://{self.name}/lake"},
            "index": {"url": self.stack.environment()["OPENSEARCH_URL"], "prefix": f"{self.name}-"},
            "dead_letters": {"kafka_topic": self.dead_letters, "redrive_key": REDRIVE_KEY},
            "job": {
                "name": self.name,
                "parallelism": 2,
                "checkpoint_seconds": 1,
                "checkpoint_dir": f"s3a://{self.name}/checkpoints",
            },
        }
        for section, keys in self.overrides.items():
            if keys is None:
                del sections[section]
                continue
            kept = {} if section == "dead_letters" else sections.get(section, {})
            sections[section] = {**kept, **keys}
        for section in ("archive", "lake", "dead_letters"):
            if sections.get(section, {}).get("path"):
                sections[section].setdefault("file_seconds", FILE_SECONDS)
        return sections

    def produce(
        self,
        made: Iterable[Made],
        *,
        rate: float | None = None,
        headers: HeadersOf | None = None,
    ) -> list[Sent]:
        """Send to the first topic, or to the first stream where there is no topic.

        `headers` returns those of the record with a number; a stream has none.
        """
        if self.topics:
            sent = produce(made, servers=self.servers, topic=self.topic, rate=rate, headers=headers)
        else:
            client = kinesis.client(self.endpoint)
            sent = produce_kinesis(made, client=client, stream=self.stream, rate=rate)
        self.produced += len(sent)
        return sent

    def start(
        self, *, savepoint: str = "", allow_dropped_state: bool = False, by_command: bool = False
    ) -> Submitted:
        """Submit and wait until every task runs.

        `by_command` uses `flink run`, as users do; otherwise a warm client submits, which takes
        one second and not ten.
        """
        self.job = (submit if by_command else warm_client.submit)(
            self.config_path,
            self.stack.environment(),
            savepoint=savepoint,
            allow_dropped_state=allow_dropped_state,
        )
        self.wait_running()
        return self.job

    def failures(self) -> int:
        """Return how often a task failed so far, at most sixteen, which Flink keeps.

        Not the metric numRestarts: the REST API of Flink 1.20's standalone cluster lacks it.
        """
        exceptions = self.submitted.cluster.get(f"/jobs/{self.submitted.job_id}/exceptions")
        return len(exceptions["exceptionHistory"]["entries"])

    def wait_running(self) -> None:
        job = self.submitted
        wait_for(lambda: job.cluster.running(job.job_id), PATIENCE_SECONDS, "the job did not run")

    def wait_checkpoints(self, more: int) -> None:
        wait_checkpoints(self.submitted, more)

    def drain(self) -> None:
        """Wait until all that was produced is read, and its files are closed and committed."""
        self.wait_read()
        self.wait_closed()

    def wait_read(self) -> None:
        """Wait until completed checkpoints cover all that was produced, and one more.

        A stream's records count when the archive has them.
        """
        job = self.submitted
        cluster = Kafka(bootstrap_servers=self.servers)
        sources = [
            SourceProgress(cluster, topic=f"{self.name}-{topic}", group_id=self.name)
            for topic in self.topics
        ]
        archived = ArchivedRecords(self.store("archive"))

        def drained() -> bool:
            job.cluster.running(job.job_id)
            streamed = not self.streams or archived.count() >= self.produced
            return streamed and all(source.drained() for source in sources)

        wait_for(drained, PATIENCE_SECONDS, "the source was not drained")
        wait_checkpoints(job, 1)

    def wait_closed(self) -> None:
        """Wait until a checkpoint has completed that began when every bucket had its age.

        The tick of a bucket that is due comes before the barrier of such a checkpoint.
        """
        job = self.submitted
        since = (time.time() + _CLOSED_SECONDS) * 1000

        def committed() -> bool:
            job.cluster.running(job.job_id)
            latest = job.cluster.get(f"/jobs/{job.job_id}/checkpoints")["latest"]["completed"]
            return latest is not None and latest["trigger_timestamp"] > since

        wait_for(committed, PATIENCE_SECONDS, "no checkpoint completed after the files were closed")
        wait_checkpoints(job, 1)

    def store(self, folder: str) -> Store:
        """A folder of our bucket."""
        path = f"s3a://{self.name}/{folder}"
        return open_store(path, self.stack.environment())

    def stop(self, *, drain: bool = False) -> str:
        """Stop with a savepoint; says where it is.

        `drain` writes the files of all open buckets; without it, they stay in the savepoint.
        """
        job = self.submitted
        return job.cluster.stop_with_savepoint(
            job.job_id,
            f"s3a://{self.name}/savepoints",
            drain=drain,
            timeout_seconds=PATIENCE_SECONDS,
        )

    def verdict(self, sent: list[Sent], **filters: Chosen) -> Verdict:
        """Read every sink back and compare it with what was sent; `filters` are of replicas."""
        return examine(sent, self.config(), self.stack.environment(), filters)

    def reader(self) -> Reader:
        """Return what reads sinks on our servers."""
        return Reader(self.stack.environment())

    @property
    def submitted(self) -> Submitted:
        assert self.job is not None, "start() comes first"
        return self.job


def open_transactions(servers: str, topic: str) -> dict[int, tuple[int, int]]:
    """The partitions with an open transaction: last stable offset, and the end of the log."""
    admin = AdminClient({"bootstrap.servers": servers})
    numbers = admin.list_topics(topic).topics[topic].partitions
    latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
    asked = {TopicPartition(topic, number): latest for number in numbers}
    stable, end = (
        {
            each.partition: future.result().offset
            for each, future in admin.list_offsets(asked, isolation_level=isolation).items()
        }
        for isolation in (IsolationLevel.READ_COMMITTED, IsolationLevel.READ_UNCOMMITTED)
    )
    return {n: (stable[n], end[n]) for n in end if stable[n] != end[n]}

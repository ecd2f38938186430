"""One run of the real job on the real servers, with names of its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console

from connectors.flink_rest import wait_for
from pipeline.demo import read_back
from pipeline.demo.findings import Verdict
from pipeline.demo.ledger import Ledger
from pipeline.demo.made import Made
from pipeline.demo.produce import create_topics, produce
from pipeline.demo.progress import Steps
from pipeline.demo.run import wait_checkpoints
from pipeline.demo.watch import SourceProgress
from pipeline.local.s3 import create_bucket
from pipeline.local.stack import Stack
from pipeline.submit import Submitted, submit

PATIENCE_SECONDS = 240.0


@dataclass(kw_only=True)
class Harness:
    """Topics, bucket, index prefix and configuration of one job; `name` keeps them apart."""

    stack: Stack
    name: str
    folder: Path
    overrides: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    topics: tuple[str, ...] = ("trips",)
    partitions: int = 3
    job: Submitted | None = None

    def __post_init__(self) -> None:
        for topic in self.topics:
            create_topics(
                self.servers,
                source=f"{self.name}-{topic}",
                dead_letters=self.dead_letters,
                partitions=self.partitions,
            )
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
    def topic(self) -> str:
        return f"{self.name}-{self.topics[0]}"

    @property
    def dead_letters(self) -> str:
        return f"{self.name}-dead-letters"

    @property
    def config_path(self) -> Path:
        return self.folder / f"{self.name}.yaml"

    def config(self) -> dict[str, Any]:
        """The local configuration under our own names; a section in `overrides` is merged over."""
        sections: dict[str, dict[str, Any]] = {
            "source": {
                "kafka_bootstrap_servers": self.servers,
                "kafka_topics": [f"{self.name}-{topic}" for topic in self.topics],
                "kafka_group_id": self.name,
            },
            "decode": {"schemas": str(Path(__file__).parents[2] / "schemas")},
            "archive": {"path": f"s3a://{self.name}/archive"},
            "lake": {"path": f"s3a://{self.name}/lake"},
            "index": {"url": self.stack.environment()["OPENSEARCH_URL"], "prefix": f"{self.name}-"},
            "dead_letters": {"kafka_topic": self.dead_letters},
            "job": {
                "name": self.name,
                "parallelism": 2,
                "checkpoint_seconds": 3,
                "checkpoint_dir": f"s3a://{self.name}/checkpoints",
            },
        }
        for section, keys in self.overrides.items():
            kept = {} if section == "dead_letters" else sections[section]
            sections[section] = {**kept, **keys}
        return sections

    def produce(self, made: Iterable[Made], *, rate: float | None = None) -> Ledger:
        """Send to the source topic."""
        return produce(made, servers=self.servers, topic=self.topic, rate=rate)

    def start(self) -> Submitted:
        """Submit and wait until every task runs."""
        self.job = submit(self.config_path, self.stack.environment())
        self.wait_running()
        return self.job

    def wait_running(self) -> None:
        job = self.submitted
        wait_for(lambda: job.cluster.running(job.job_id), PATIENCE_SECONDS, "the job did not run")

    def wait_checkpoints(self, more: int) -> None:
        wait_checkpoints(self.submitted, more)

    def drain(self) -> None:
        """Wait until completed checkpoints cover the whole topic, and two more."""
        job = self.submitted
        sources = [
            SourceProgress(self.servers, topic=f"{self.name}-{topic}", group_id=self.name)
            for topic in self.topics
        ]

        def drained() -> bool:
            job.cluster.running(job.job_id)
            return all(source.drained() for source in sources)

        wait_for(drained, PATIENCE_SECONDS, "the source was not drained")
        wait_checkpoints(job, 2)

    def stop(self) -> str:
        """Stop with a savepoint; says where it is."""
        job = self.submitted
        return job.cluster.stop_with_savepoint(
            job.job_id, f"s3a://{self.name}/savepoints", timeout_seconds=PATIENCE_SECONDS
        )

    def verdict(self, ledger: Ledger) -> Verdict:
        """Every sink read back and compared."""
        steps = Steps(Console(quiet=True))
        return read_back.verdict(ledger, self.submitted.config, self.stack.environment(), steps)

    @property
    def submitted(self) -> Submitted:
        assert self.job is not None, "start() comes first"
        return self.job

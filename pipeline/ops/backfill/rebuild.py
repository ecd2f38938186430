"""Rebuild the lake, and fill the index, from the archive: the main job's code reads a topic of
archived records, beside the main job."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import msgspec
import yaml

from connectors.errors import UserError
from connectors.flink import rest as flink_rest
from connectors.flink.rest import wait_for
from connectors.kafka import admin as kafka_admin
from connectors.kafka.options import Kafka
from connectors.kafka.producer import KafkaProducer
from connectors.kafka.reader import SourceProgress
from pipeline.ops.backfill.derive import Backfill, derived, refuse
from pipeline.ops.backfill.feed import Fed, LeftOut, archived, feed
from pipeline.ops.reconcile.options import Options
from pipeline.ops.reconcile.report import Report
from pipeline.ops.reconcile.run import reconcile
from pipeline.ops.systems import Systems
from pipeline.progress import Steps
from pipeline.submit import Submitted, submit

_PARTITIONS: Final = 4
_TOPIC: Final = {"retention.ms": "-1", "max.message.bytes": str(4 * 1024 * 1024)}
_PATIENCE_SECONDS: Final = 24 * 3600.0
_CHECKPOINTS: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuild:
    """One backfill; `path` is the main job's configuration, `folder` takes the backfill's."""

    systems: Systems
    path: Path
    folder: Path
    backfill: Backfill
    steps: Steps

    def plan(self) -> list[str]:
        """Describe each step in a sentence; refuse what cannot be done."""
        config, backfill = self.systems.config, self.backfill
        refuse(config, backfill)
        assert config.archive
        index = "fill the index (older versions change nothing)" if backfill.index else "no index"
        return [
            f"read the archive {config.archive.path}, without the dead letters of step decode",
            f"send it to the new topic {backfill.name} on {self.cluster.bootstrap_servers}",
            f"run the job {backfill.name} on it: lake into {backfill.into}, {index}, its rejects"
            f" into {backfill.dead_letters}",
            "wait until a checkpoint covers all of it, stop the job with a savepoint",
            f"compare {backfill.into} with the archive, then delete the topic {backfill.name}",
            "change nothing in the live lake: that is `backfill swap`",
        ]

    def count(self) -> Fed:
        """Count the records that would be sent."""
        return self._fed(None, LeftOut(self.systems))

    def run(self) -> dict[str, Any]:
        """Run the backfill; return its report. One that was interrupted needs a new name."""
        self._refuse_again()
        admin = kafka_admin.connect(self.cluster)
        admin.create(self.backfill.name, self._partitions(admin), _TOPIC)
        left = LeftOut(self.systems)
        fed = self._fed(KafkaProducer(self.cluster, self.backfill.name), left)
        job = self._submit()
        self._drain(job)
        with self.steps.step("stopping with a savepoint"):
            job.cluster.stop_with_savepoint(
                job.job_id, self._savepoints(job), timeout_seconds=_PATIENCE_SECONDS
            )
        admin.delete(self.backfill.name)
        verified = self._verify(left)
        return {
            "name": self.backfill.name,
            "into": self.backfill.into,
            "records": fed.records,
            "left_out": fed.left_out,
            "reconciled": verified.as_dict(),
            "problems": verified.problems(),
        }

    @property
    def cluster(self) -> Kafka:
        """The Kafka cluster of the backfill's topic."""
        sections = derived(self.path, self.systems.config, self.backfill)
        return self.systems.config.cluster(sections["source"]["kafka_cluster"])

    def _refuse_again(self) -> None:
        into = self.backfill.into
        if self.systems.lake(into).listing():
            raise UserError(f"--into: {into} is not empty; give an empty place.")
        url = self.systems.environment.get("FLINK_REST_URL")
        if not url:
            raise UserError(
                "no Flink cluster is known (FLINK_REST_URL, FLINK_HOME); start the local servers"
                " with `make up`, and source build/run/env.sh."
            )
        needed = self.backfill.parallelism or self.systems.config.job.parallelism or 1
        free = flink_rest.Cluster(url).free_slots()
        if free < needed:
            raise UserError(
                f"the cluster at {url} has {free} free slots and the job needs {needed}: give"
                " --parallelism, add a TaskManager, or stop the main job with a savepoint."
            )

    def _partitions(self, admin: kafka_admin.Brokers) -> int:
        topics = self.systems.config.source.kafka_topics
        known = [len(admin.partitions(topic)) for topic in topics if topic in admin.topics]
        return max(known, default=_PARTITIONS)

    def _fed(self, target: KafkaProducer | None, left: LeftOut) -> Fed:
        history = archived(self.systems, self.backfill, left)
        what = "sending the archived records" if target else "counting the archived records"
        with self.steps.step(what, unit="records") as progress:
            return feed(history, target, progress)

    def _submit(self) -> Submitted:
        path = self.folder / f"{self.backfill.name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        sections = derived(self.path, self.systems.config, self.backfill)
        path.write_text(yaml.safe_dump(sections, sort_keys=False), encoding="utf-8")
        with self.steps.step("submitting the job"):
            job = submit(path, self.systems.environment)
            cluster = job.cluster
            wait_for(lambda: cluster.running(job.job_id), 300, "the job did not run")
        return job

    def _drain(self, job: Submitted) -> None:
        name = self.backfill.name
        source = SourceProgress(self.cluster, topic=name, group_id=name)
        cluster = job.cluster

        def drained() -> bool:
            cluster.running(job.job_id)
            return source.drained()

        with self.steps.step("working off the topic"):
            wait_for(drained, _PATIENCE_SECONDS, "the topic was not worked off")
            wanted = cluster.checkpoints(job.job_id).completed + _CHECKPOINTS
            wait_for(
                lambda: cluster.checkpoints(job.job_id).completed >= wanted,
                _PATIENCE_SECONDS,
                "no more checkpoints completed",
            )

    def _verify(self, left: LeftOut) -> Report:
        """Check that every record read is in the rebuilt lake or the dead letters."""
        config = self.systems.config
        assert config.lake
        lake = msgspec.structs.replace(config.lake, path=self.backfill.into)
        rebuilt = msgspec.structs.replace(config, lake=lake, index=None, replicate={})
        options = Options(
            spans=left.spans(),
            since=self.backfill.start_ms,
            until=self.backfill.end_ms,
            complete=True,
            from_archive=True,
        )
        return reconcile(replace(self.systems, config=rebuilt), options, self.steps)

    def _savepoints(self, job: Submitted) -> str:
        return job.config.job.checkpoint_dir or f"{self.backfill.into}-savepoint"

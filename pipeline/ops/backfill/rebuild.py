"""Rebuild the lake, and fill the index, from the archive: the main job's code reads a topic of
archived records, beside the main job."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import msgspec
import yaml

from connectors.errors import UserError
from connectors.flink.rest import wait_for
from connectors.kafka import admin as kafka_admin
from connectors.kafka.options import Kafka
from connectors.kafka.producer import KafkaProducer
from connectors.kafka.progress import SourceProgress
from connectors.positions import Position
from pipeline.ops.backfill.derive import Backfill, derived, refuse
from pipeline.ops.dead_letters.letter import digest_of, position_text
from pipeline.ops.dead_letters.reader import read_letters
from pipeline.ops.reconcile.options import Options, Span
from pipeline.ops.reconcile.report import Report
from pipeline.ops.reconcile.run import reconcile
from pipeline.ops.replay.history import History, Selection
from pipeline.ops.systems import Systems
from pipeline.progress import Steps
from pipeline.submit import Submitted, cluster_of, submit

_PARTITIONS: Final = 4
_TOPIC: Final = {"retention.ms": "-1", "max.message.bytes": str(4 * 1024 * 1024)}
_PATIENCE_SECONDS: Final = 24 * 3600.0
_CHECKPOINTS: Final = 2


class LeftOut:
    """Decides which archived records to leave out: the dead letters of step decode.

    Those are in the live lake under the position of their redriven copy, or not at all. It is
    called for every record, so `ends` has the last position read of each topic and partition, or
    stream and shard.
    """

    def __init__(self, systems: Systems) -> None:
        letters = read_letters(systems) if systems.config.dead_letters else ()
        self._rejected = {digest_of(each.where) for each in letters if each.step == "decode"}
        self.ends: dict[tuple[str, str], int] = {}

    def __call__(self, position: Position) -> bool:
        """Return whether to leave out the record at that position."""
        place, part, number = position[:3] if position.topic else position[3:]
        key, last = (str(place), str(part)), int(number or 0)
        self.ends[key] = max(last, self.ends.get(key, 0))
        return bool(self._rejected) and digest_of(position_text(position)) in self._rejected


@dataclass(frozen=True, kw_only=True)
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
        refuse(self.systems, backfill)
        assert config.archive
        index = "fill the index (older versions change nothing)" if backfill.index else "no index"
        return [
            f"read the archive {config.archive.path}, without the dead letters of step decode",
            f"send it to the new topic {backfill.name} on {self._cluster.bootstrap_servers}",
            f"run the job {backfill.name} on it: lake into {backfill.into}, {index}, its rejects"
            f" into {backfill.dead_letters}",
            "wait until a checkpoint covers all of it, stop the job with a savepoint",
            f"compare {backfill.into} with the archive, then delete the topic {backfill.name}",
            "change nothing in the live lake: that is `backfill swap`",
        ]

    def count(self) -> dict[str, int]:
        """Count the records that would be sent, and those that would be left out."""
        return self._feed(None, LeftOut(self.systems))

    def run(self) -> dict[str, Any]:
        """Run the backfill; return its report. One that was interrupted needs a new name."""
        into, name = self.backfill.into, self.backfill.name
        self._refuse_again()
        admin = kafka_admin.connect(self._cluster)
        topics = admin.topics & set(self.systems.config.source.kafka_topics)
        partitions = max(map(admin.partitions, topics), default=_PARTITIONS)
        admin.create(name, partitions, _TOPIC)
        left_out = LeftOut(self.systems)
        counts = self._feed(KafkaProducer(self._cluster, name), left_out)
        job = self._submit()
        self._drain(job)
        with self.steps.step("stopping with a savepoint"):
            savepoints = job.config.job.checkpoint_dir or f"{into}-savepoint"
            job.cluster.stop_with_savepoint(
                job.job_id, savepoints, timeout_seconds=_PATIENCE_SECONDS
            )
        admin.delete(name)
        verified = self._verify(left_out)
        return {
            "name": name,
            "into": into,
            **counts,
            "reconciled": verified.as_dict(),
            "problems": verified.problems(),
        }

    @cached_property
    def _sections(self) -> dict[str, Any]:
        return derived(self.path, self.systems.config, self.backfill)

    @property
    def _cluster(self) -> Kafka:
        return self.systems.config.cluster(self._sections["source"]["kafka_cluster"])

    def _refuse_again(self) -> None:
        into = self.backfill.into
        if self.systems.lake(into).listing():
            raise UserError(f"--into: {into} is not empty; give an empty place.")
        needed = self.backfill.parallelism or self.systems.config.job.parallelism or 1
        free = cluster_of(self.systems.environment).free_slots()
        if free < needed:
            raise UserError(
                f"the Flink cluster has {free} free slots and the job needs {needed}: give"
                " --parallelism, add a TaskManager, or stop the main job with a savepoint."
            )

    def _feed(self, target: KafkaProducer | None, left_out: LeftOut) -> dict[str, int]:
        """Send all archived records in the order of their arrival; without a target, only count."""
        archive, backfill, records = self.systems.config.archive, self.backfill, 0
        assert archive, "derive.refuse asks for one"
        selection = Selection(archive=True, start_ms=backfill.start_ms, end_ms=backfill.end_ms)
        environment = self.systems.environment
        history = History(archive.path, selection, environment, leave_out=left_out)
        what = "sending the archived records" if target else "counting the archived records"
        with self.steps.step(what, unit="records") as progress:
            for block in history.blocks():
                if target:
                    target.send_block(block)
                records += len(block)
                progress(records)
            if target:
                target.close()
        return {"records": records, "left_out": history.counts.left_out}

    def _submit(self) -> Submitted:
        path = self.folder / f"{self.backfill.name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(self._sections, sort_keys=False), encoding="utf-8")
        with self.steps.step("submitting the job"):
            job = submit(path, self.systems.environment)
            wait_for(lambda: job.cluster.running(job.job_id), 300, "the job did not run")
        return job

    def _drain(self, job: Submitted) -> None:
        name, cluster = self.backfill.name, job.cluster
        source = SourceProgress(self._cluster, topic=name, group_id=name)

        def drained() -> bool:
            cluster.running(job.job_id)  # Raises if the job failed.
            return source.drained()

        with self.steps.step("working off the topic"):
            wait_for(drained, _PATIENCE_SECONDS, "the topic was not worked off")
            wanted = cluster.checkpoints(job.job_id).completed + _CHECKPOINTS
            wait_for(
                lambda: cluster.checkpoints(job.job_id).completed >= wanted,
                _PATIENCE_SECONDS,
                "no more checkpoints completed",
            )

    def _verify(self, left_out: LeftOut) -> Report:
        """Check that every record read is in the rebuilt lake or the dead letters."""
        config = self.systems.config
        assert config.lake
        lake = msgspec.structs.replace(config.lake, path=self.backfill.into)
        rebuilt = msgspec.structs.replace(config, lake=lake, index=None, replicate={})
        options = Options(
            spans=tuple(Span(*place, None, last) for place, last in left_out.ends.items()),
            since=self.backfill.start_ms,
            until=self.backfill.end_ms,
            complete=True,
            from_archive=True,
        )
        return reconcile(replace(self.systems, config=rebuilt), options, self.steps)

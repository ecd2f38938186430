"""Rebuild the lake, and fill the index, from the archive: a second job, with the main job's code,
reads a topic of archived records."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import msgspec
import yaml

from connectors.errors import UserError
from connectors.flink.rest import wait_for
from connectors.kafka import admin as kafka_admin
from connectors.kafka.options import Kafka
from connectors.kafka.producer import KafkaProducer
from connectors.kafka.reader import SourceProgress
from connectors.positions import Position
from pipeline.cluster import cluster_of
from pipeline.config.yaml_file import read_yaml
from pipeline.ops.dead_letters.letter import digest_of, position_text
from pipeline.ops.dead_letters.reader import read_letters
from pipeline.ops.reconcile.options import Options, Span
from pipeline.ops.reconcile.report import Report
from pipeline.ops.reconcile.run import reconcile
from pipeline.ops.replay.history import History
from pipeline.ops.replay.selection import Selection
from pipeline.ops.systems import Systems
from pipeline.progress import Steps
from pipeline.submit import Submitted, submit

_PARTITIONS: Final = 4
_TOPIC: Final = {"retention.ms": "-1", "max.message.bytes": str(4 * 1024 * 1024)}
_PATIENCE_SECONDS: Final = 24 * 3600.0
_CHECKPOINTS: Final = 2
_ANY_NUMBER: Final = 2**31 - 1
_OF_RECORDS: Final = (
    "avro",
    "event_type",
    "event_type_by_topic",
    "event_type_field",
    "event_type_header",
    "event_type_values",
)
"""Keys of `source` that say what the records are."""
_LIMITS: Final = ("reject_limit_ratio", "reject_limit_seconds", "reject_limit_records")


class LeftOut:
    """Decides which archived records to leave out: the dead letters of step decode.

    If redriven, such a record is in the live lake under the position of its copy. Called for every
    record, so `ends` has the last position read of each topic and partition, or stream and shard.
    """

    def __init__(self, systems: Systems) -> None:
        letters = read_letters(systems) if systems.config.dead_letters else ()
        self._rejected = {digest_of(letter.where) for letter in letters if letter.step == "decode"}
        self.ends: dict[tuple[str, str], int] = {}

    def __call__(self, position: Position) -> bool:
        """Return whether to leave out the record at that position."""
        place, part, number = position[:3] if position.topic else position[3:]
        key, last = (str(place), str(part)), int(number or 0)
        self.ends[key] = max(last, self.ends.get(key, 0))
        return bool(self._rejected) and digest_of(position_text(position)) in self._rejected


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuild:
    """One backfill: the archived records to read (by arrival, epoch milliseconds), and the target.

    `path` is the main job's configuration; the backfill's is written to `folder`. `name` is that of
    its topic, job and consumer group. `into` is the prefix of the rebuilt lake, without a slash at
    its end. `parallelism` None means that of the main job.
    """

    systems: Systems
    path: Path
    folder: Path
    steps: Steps
    name: str
    into: str
    index: bool
    parallelism: int | None
    start_ms: int | None
    end_ms: int | None

    def plan(self) -> list[str]:
        """Describe each step in a sentence; refuse what cannot be done."""
        archive = self._refuse()
        index = "fill the index (older versions change nothing)" if self.index else "no index"
        return [
            f"read the archive {archive}, without the dead letters of step decode",
            f"send it to the new topic {self.name} on {self._cluster.bootstrap_servers}",
            f"run the job {self.name} on it: lake into {self.into}, {index}, its rejects into"
            f" {self._dead_letters}",
            "wait until a checkpoint covers all of it, stop the job and write all of its rows",
            f"compare {self.into} with the archive, then delete the topic {self.name}",
            "change nothing in the live lake: that is `backfill swap`",
        ]

    def count(self) -> dict[str, int]:
        """Count the records that would be sent, and those that would be left out."""
        return self._feed(None, LeftOut(self.systems))

    def run(self) -> dict[str, Any]:
        """Run the backfill and return its report; after an interruption, use a new name."""
        self._refuse_again()
        admin = kafka_admin.connect(self._cluster)
        topics = admin.topics & set(self.systems.config.source.kafka_topics)
        partitions = max((len(admin.partitions(topic)) for topic in topics), default=_PARTITIONS)
        admin.create(self.name, partitions, _TOPIC)
        left_out = LeftOut(self.systems)
        counts = self._feed(KafkaProducer(self._cluster, self.name), left_out)
        job = self._submit()
        self._drain(job)
        with self.steps.step("stopping, with all rows written"):
            savepoints = job.config.job.checkpoint_dir or f"{self.into}-savepoint"
            job.cluster.stop_with_savepoint(
                job.job_id, savepoints, timeout_seconds=_PATIENCE_SECONDS, drain=True
            )
        admin.delete(self.name)
        verified = self._verify(left_out)
        return {
            "name": self.name,
            "into": self.into,
            **counts,
            "reconciled": verified.as_dict(),
            "problems": verified.problems(),
        }

    @property
    def _dead_letters(self) -> str:
        return f"{self.into}-dead-letters"

    @property
    def _cluster_name(self) -> str:
        """The name of the topic's cluster: the source's, or the first one."""
        config = self.systems.config
        if config.source.kafka_topics:
            return config.source.kafka_cluster
        return "" if config.kafka else next(iter(config.clusters))

    @property
    def _cluster(self) -> Kafka:
        return self.systems.config.cluster(self._cluster_name)

    def _refuse(self) -> str:
        """Refuse a configuration that cannot be backfilled; return the archive's path."""
        config, live = self.systems.config, self.systems.lake_path
        if not config.archive or not config.archive.path:
            raise UserError(
                "a backfill reads an archive on S3 (archive.path), and this configuration has none."
                " A job can read an archive on a Kafka topic as its source: source.archived_from."
            )
        if not config.kafka and not config.clusters:
            raise UserError(
                "a backfill goes through a Kafka topic, whose headers keep the records' positions,"
                " and this configuration names no cluster; give a section kafka."
            )
        if self.into == live or self.into.startswith(f"{live}/"):
            raise UserError(f"--into is {self.into}, in the live lake {live}; give a place beside.")
        if self.index and not config.index:
            raise UserError("--index: the configuration has no index.")
        return config.archive.path

    def _refuse_again(self) -> None:
        if self.systems.lake(self.into).listing():
            raise UserError(f"--into: {self.into} is not empty; give an empty place.")
        needed = self.parallelism or self.systems.config.job.parallelism or 1
        free = cluster_of(self.systems.environment).free_slots()
        if free < needed:
            raise UserError(
                f"the Flink cluster has {free} free slots and the job needs {needed}: give"
                " --parallelism, add a TaskManager, or stop the main job with a savepoint."
            )

    def _feed(self, target: KafkaProducer | None, left_out: LeftOut) -> dict[str, int]:
        """Send all archived records in the order of their arrival; without a target, only count."""
        archive, records = self.systems.config.archive, 0
        assert archive, "`plan` refuses a configuration without"
        selection = Selection(archive=True, start_ms=self.start_ms, end_ms=self.end_ms)
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
        path = self.folder / f"{self.name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(self._sections(), sort_keys=False), encoding="utf-8")
        with self.steps.step("submitting the job"):
            job = submit(path, self.systems.environment)
            wait_for(lambda: job.cluster.running(job.job_id), 300, "the job did not run")
        return job

    def _sections(self) -> dict[str, Any]:
        """Return the job's configuration; references such as ${env:NAME} are kept.

        There is no limit of rejects or partitions: the backfill reads years in minutes, and reports
        its rejects when it is done.
        """
        main = read_yaml(self.path)
        config = self.systems.config
        source, schemas = config.source, Path(config.decode.schemas)
        kinds = {"kafka": source.kafka_topics, "kinesis": source.kinesis_streams}
        decode = {k: v for k, v in (main.get("decode") or {}).items() if k not in _LIMITS}
        if schemas.exists():
            decode["schemas"] = str(schemas.resolve())
        job = {**(main.get("job") or {}), "name": self.name}
        # Archived records may be redriven ones, whose signatures the job must be able to verify.
        letters = main.get("dead_letters") or {}
        redrive_key = {k: v for k, v in letters.items() if k == "redrive_key"}
        if self.parallelism:
            job["parallelism"] = self.parallelism
        copied = ("kafka", "clusters", "schema_registry", *(["index"] if self.index else []))
        told = {k: v for k, v in (main.get("source") or {}).items() if k in _OF_RECORDS}
        return {
            **{name: main[name] for name in copied if name in main},
            "source": {
                **told,
                "kafka_topics": [self.name],
                "kafka_cluster": self._cluster_name,
                "kafka_group_id": self.name,
                "archived_from": list(source.archived_from) or [k for k, v in kinds.items() if v],
            },
            "decode": decode,
            "lake": {**main["lake"], "path": self.into, "max_partitions": _ANY_NUMBER},
            "dead_letters": {"path": self._dead_letters, **redrive_key},
            "job": job,
        }

    def _drain(self, job: Submitted) -> None:
        name, cluster = self.name, job.cluster
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
        lake = msgspec.structs.replace(config.lake, path=self.into)
        rebuilt = msgspec.structs.replace(config, lake=lake, index=None, replicate={})
        options = Options(
            spans=tuple(Span(*place, None, last) for place, last in left_out.ends.items()),
            since=self.start_ms,
            until=self.end_ms,
            complete=True,
            from_archive=True,
        )
        return reconcile(replace(self.systems, config=rebuilt), options, self.steps)

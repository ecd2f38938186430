"""Decide what a run starts from, so that no run doubles what an earlier one wrote.

A job without its state reads its source again and writes everything once more. So a run looks for
what earlier runs of the job left: checkpoints and savepoints, the offsets that its group committed,
and data where it is going to write.

Flink names a checkpoint's folder by the job's id, and a savepoint's by the user's wish. `remember`
therefore keeps which ids and savepoints a job name has, in a folder of its own beside the
checkpoints.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal, NamedTuple

import msgspec

from connectors.errors import UserError
from connectors.flink.rest import Cluster, Job
from connectors.s3.store import Store, open_store
from pipeline.config.checks import folders, targets
from pipeline.config.model import Config

Choice = Literal["", "resume", "fresh"]

_RECORDS: Final = "_streaming-etl-jobs"
"""Hidden from readers by Hadoop's convention, and no name that Flink uses."""
_JOB_ID: Final = re.compile(r"[0-9a-f]{32}")
_CHECKPOINT: Final = re.compile(r"chk-\d+/_metadata")
_METADATA: Final = "_metadata"


class _Record(msgspec.Struct):
    """What is remembered of one submitted job."""

    name: str
    savepoints: tuple[str, ...] = ()


class Snapshot(NamedTuple):
    """A complete checkpoint or savepoint: when it was written (epoch ms), and its address."""

    taken_ms: int
    uri: str

    def __str__(self) -> str:
        taken = datetime.fromtimestamp(self.taken_ms / 1000, UTC)
        return f"{self.uri} of {taken:%Y-%m-%d %H:%M:%S} UTC"


@dataclass(frozen=True, slots=True)
class Left:
    """What earlier runs of a job left: the newest snapshot, and all else in words."""

    snapshot: Snapshot | None
    data: tuple[str, ...]


def savepoint_for(
    config: Config, cluster: Cluster, environment: Mapping[str, str], choice: Choice
) -> tuple[str, str]:
    """Return the snapshot to start from, empty for none, and what the user should know.

    Raises:
        UserError: earlier runs left something and there is no choice, or nothing to resume from.
    """
    left = find(config, cluster, environment)
    if choice == "fresh":
        return "", _what_repeats(config, left)
    if left.snapshot is None and not left.data:
        return "", ""
    if choice == "resume" and left.snapshot:
        return left.snapshot.uri, f"resuming from {left.snapshot}"
    raise UserError(_refusal(config, left, choice))


def refuse_a_second(config: Config, jobs: Iterable[Job]) -> None:
    """Raise UserError if a job of this name has not ended."""
    for job in jobs:
        if job.name == config.job.name and not job.has_ended:
            raise UserError(
                f"a job {job.name} is {job.state} on the cluster ({job.job_id}); a second one would"
                " write everything twice. Stop it first (`streaming-etl stop"
                f" {job.job_id} --into FOLDER`), or give this one another job.name, consumer group"
                " and paths."
            )


def checkpoints_off(config: Config, cluster: Cluster) -> str:
    """Return a warning if there are no checkpoints, and files would never become visible."""
    paths = folders(config)
    has_own = config.job.checkpoint_seconds is not None
    if has_own or not paths or cluster.option("execution.checkpointing.interval"):
        return ""
    return (
        f"warning: checkpoints are off, and nothing below {', '.join(paths)} becomes visible"
        " without them; set job.checkpoint_seconds"
    )


def remember(folder: str, environment: Mapping[str, str], job_id: str, name: str) -> None:
    """Keep that the job's checkpoints, below `folder`, are of a job of this name."""
    _write(open_store(folder, environment), job_id, _Record(name))


def remember_savepoint(
    folder: str, environment: Mapping[str, str], job: Job, savepoint: str
) -> None:
    """Keep that the job took this savepoint."""
    store = open_store(folder, environment)
    known = dict(_records(store)).get(job.job_id) or _Record(job.name)
    savepoints = (*known.savepoints, savepoint)
    _write(store, job.job_id, msgspec.structs.replace(known, savepoints=savepoints))


def checkpoint_folder(config: Config, cluster: Cluster) -> str:
    """Return the folder of the job's checkpoints; empty if they go to the JobManager's memory."""
    return config.job.checkpoint_dir or cluster.option("execution.checkpointing.dir")


def find(config: Config, cluster: Cluster, environment: Mapping[str, str]) -> Left:
    """Look for what earlier runs of the job left."""
    folder = checkpoint_folder(config, cluster)
    snapshots: list[Snapshot] = []
    if folder:
        store = open_store(folder, environment)
        records = {id_: known for id_, known in _records(store) if known.name == config.job.name}
        ids = {job.job_id for job in cluster.jobs() if job.name == config.job.name}
        snapshots = [*_checkpoints(store, ids | set(records)), *_savepoints(records, environment)]
    return Left(max(snapshots, default=None), tuple(_data(config, environment)))


def _records(store: Store) -> Iterator[tuple[str, _Record]]:
    for stored in store.everything(_RECORDS):
        job_id = stored.path.rpartition("/")[2].removesuffix(".json")
        if _JOB_ID.fullmatch(job_id):
            try:
                yield job_id, msgspec.json.decode(store.read(stored.path), type=_Record)
            except msgspec.MsgspecError as error:
                raise UserError(
                    f"{store.uri}/{stored.path} cannot be read ({error}); it says which job the"
                    " checkpoints beside it are of. Delete it if that is known otherwise."
                ) from error


def _write(store: Store, job_id: str, record: _Record) -> None:
    store.write(f"{_RECORDS}/{job_id}.json", msgspec.json.encode(record))


def _checkpoints(store: Store, job_ids: Iterable[str]) -> Iterator[Snapshot]:
    for job_id in job_ids:
        for stored in store.beginning_with(f"{job_id}/chk-"):
            inner = stored.path.removeprefix(f"{job_id}/")
            if _CHECKPOINT.fullmatch(inner) and stored.modified_ms is not None:
                folder = stored.path.removesuffix(f"/{_METADATA}")
                yield Snapshot(stored.modified_ms, f"{store.uri}/{folder}")


def _savepoints(
    records: Mapping[str, _Record], environment: Mapping[str, str]
) -> Iterator[Snapshot]:
    for record in records.values():
        for savepoint in record.savepoints:
            stored = open_store(savepoint, environment).stat(_METADATA)
            if stored and stored.modified_ms is not None:
                yield Snapshot(stored.modified_ms, savepoint)


def _data(config: Config, environment: Mapping[str, str]) -> Iterator[str]:
    source = config.source
    for key, path in folders(config).items():
        if not open_store(path, environment).is_empty():
            yield f"data below {key} {path}"
    topics = {(source.kafka_cluster, topic): "" for topic in source.kafka_topics}
    for key, target in targets(config).items():
        if target.kafka_topic:
            topics[target.kafka_cluster, target.kafka_topic] = f"{key}.kafka_topic"
    if topics:
        yield from _in_kafka(config, topics)


def _in_kafka(config: Config, topics: Mapping[tuple[str, str], str]) -> Iterator[str]:
    """Yield the group's offsets, and the records in topics with a key: the job writes to those.

    A topic that does not exist is reported elsewhere.
    """
    # Imported here: a job without Kafka must start where the C library is too old for librdkafka.
    from connectors.kafka import admin, reader

    group = config.source.kafka_group_id
    present = {name: admin.connect(config.cluster(name)).topics for name, _ in topics}
    for (name, topic), key in topics.items():
        if topic not in present[name]:
            continue
        cluster = config.cluster(name)
        spans = reader.ends(cluster, topic)
        if key and any(first < end for first, end in spans.values()):
            yield f"records in {key} {topic}"
        if not key:
            offsets = reader.committed_offsets(
                cluster, topic=topic, group_id=group, partitions=spans
            )
            if any(offsets.values()):
                yield f"offsets of the group {group} in {topic}"


def _refusal(config: Config, left: Left, choice: Choice) -> str:
    found = "; ".join([*([f"a snapshot, {left.snapshot}"] if left.snapshot else []), *left.data])
    start = f"earlier runs of {config.job.name} left {found}."
    if left.snapshot:
        resume = "--resume: go on from that snapshot"
    else:
        resume = "--resume: not possible, no checkpoint or savepoint of a job of this name is known"
    if choice == "resume":
        return f"{start} There is nothing to resume from: give --savepoint PATH or --fresh."
    return (
        f"{start} Choose one. {resume}. --savepoint PATH: go on from another one. --fresh: begin"
        f" anew; {_what_repeats(config, left)}."
    )


def _what_repeats(config: Config, left: Left) -> str:
    if not left.data:
        return ""
    starts = {
        "earliest": "all records that the source still has are written once more",
        "committed": "records after the last committed offset may be written once more",
        "latest": "records that arrived since the last run are skipped",
    }
    return f"{starts[config.source.kafka_start]} ({'; '.join(left.data)})"

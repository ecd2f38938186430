"""Decide what a run starts from, so that no run doubles what an earlier one wrote.

A job without its state reads its source again and writes everything once more. So a run looks for
what earlier runs of the job left: checkpoints and savepoints, the offsets that its group committed,
and data where it is going to write.

Flink names a checkpoint's folder by the job's id, and a savepoint's by the user's wish. `announced`
therefore keeps which ids a job name has, in their order, and `remember_savepoint` its savepoints,
in a folder of its own beside the checkpoints.

Only the newest run's snapshot is one to resume from: an older run's would write once more what the
newest run wrote since.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal, NamedTuple

import msgspec

from connectors.errors import UserError
from connectors.flink.rest import Cluster, Job
from connectors.flink.savepoint import METADATA
from connectors.s3.store import Store, Stored, open_store
from pipeline import fresh
from pipeline.config.checks import folders, targets
from pipeline.config.model import Config
from pipeline.earlier import READABLE

Choice = Literal["", "resume", "fresh"]

_RECORDS: Final = "_streaming-etl-jobs"
"""Hidden from readers by Hadoop's convention, and no name that Flink uses."""
_RECORD: Final = re.compile(r"([0-9a-f]{32})\.json")
_CHECKPOINT: Final = re.compile(r"chk-\d+/_metadata")
_SUBMITTING: Final = ".submitting"
_SUBMISSION_MS: Final = 600_000
"""Longer than a submission takes: a marker that is older was left by a `run` that was killed."""


class _Record(msgspec.Struct):
    """What is remembered of one submitted job; `submitted_ms` is epoch milliseconds, 0 unknown."""

    name: str
    savepoints: tuple[str, ...] = ()
    submitted_ms: int = 0


class Snapshot(NamedTuple):
    """A complete checkpoint or savepoint: when it was written (epoch ms), and its address."""

    taken_ms: int
    uri: str

    def __str__(self) -> str:
        return f"{self.uri} of {_time(self.taken_ms)}"


class Run(NamedTuple):
    """A job that was submitted: when (epoch ms, 0 unknown), and its id."""

    submitted_ms: int
    job_id: str

    def __str__(self) -> str:
        return f"{self.job_id} of {_time(self.submitted_ms)}" if self.submitted_ms else self.job_id


@dataclass(frozen=True, slots=True)
class Left:
    """What earlier runs of a job left: the newest run's newest snapshot, and all else in words.

    `older` is the newest snapshot of the runs before `newest`, where `newest` left none. In the
    newest of all rows that are collected for files may wait, if it `may_wait`.
    """

    newest: Run | None
    snapshot: Snapshot | None
    older: Snapshot | None
    may_wait: bool
    data: tuple[str, ...]

    def loses(self, config: Config) -> list[str]:
        """Return the settings by which a fresh start would lose rows that wait; empty if none."""
        return fresh.skipping(config.source) if self.may_wait else []


def savepoint_for(
    config: Config,
    cluster: Cluster,
    environment: Mapping[str, str],
    choice: Choice,
    *,
    allow_dropped_state: bool,
) -> tuple[str, str]:
    """Return the snapshot to start from, empty for none, and what the user should know.

    Raises:
        UserError: earlier runs left something and there is no choice, or nothing to resume from,
            or rows wait that a fresh start would lose, which `allow_dropped_state` allows.
    """
    left = find(config, cluster, environment)
    if choice == "fresh":
        if left.loses(config) and not allow_dropped_state:
            raise UserError(_loss(config, left))
        return "", _what_repeats(config, left)
    if not (left.snapshot or left.older or left.data):
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


def checkpoint_store(
    config: Config, cluster: Cluster, environment: Mapping[str, str]
) -> Store | None:
    """Return where the job's checkpoints go; None if it is the JobManager's memory."""
    folder = config.job.checkpoint_dir or cluster.checkpoint_root()
    return open_store(folder, environment) if folder else None


def known_jobs(store: Store | None) -> frozenset[str]:
    """Return the ids of all jobs whose checkpoints are in a store, whatever their names.

    Those that are being submitted are not among them.
    """
    if store is None:
        return frozenset()
    since = time.time() * 1000 - _SUBMISSION_MS
    stored = list(store.everything(_RECORDS))
    submitting = {
        each.path.rpartition("/")[2].removesuffix(_SUBMITTING)
        for each in stored
        if each.path.endswith(_SUBMITTING) and (each.modified_ms or since) >= since
    }
    return frozenset(_ids(stored)) - submitting


@contextmanager
def announced(
    store: Store | None,
    job: tuple[str, str],
    known: Collection[str],
    may_run: Callable[[str], bool],
) -> Iterator[None]:
    """Keep, with its checkpoints, that the block submits a job: its id and name.

    It is forgotten if the block raises UserError and `may_run` knows that no such job runs. Without
    a store, nothing is kept.

    Raises:
        UserError: another one of the name was announced since only `known` were there. Of two runs
            that begin at once one at most goes on.
    """
    if store is None:
        yield
        return
    job_id, name = job
    marker = f"{_RECORDS}/{job_id}{_SUBMITTING}"
    store.write(marker, b"")  # First, so that no other `run` takes the record for an old one.
    _write(store, job_id, _Record(name, submitted_ms=int(time.time() * 1000)))
    try:
        _refuse_another(store, name, {job_id, *known})
        yield
    except UserError:
        # If it stays, `run --resume` is refused, which is safe.
        with suppress(UserError, OSError):
            if not may_run(job_id):
                store.delete(_path(job_id))
        raise
    finally:
        with suppress(UserError, OSError):
            store.delete(marker)


def _refuse_another(store: Store, name: str, known: Collection[str]) -> None:
    for job_id in _records(store, name, apart_from=known):
        raise UserError(
            f"another `run` of {name} is submitting the job {job_id}; a second one would write"
            " everything twice. Look at `streaming-etl jobs` in a moment."
        )


def remember_savepoint(
    folder: str, environment: Mapping[str, str], job: Job, savepoint: str
) -> None:
    """Keep that the job took this savepoint."""
    store = open_store(folder, environment)
    known = _read(store, job.job_id) or _Record(job.name, submitted_ms=job.started_ms)
    savepoints = (*known.savepoints, savepoint)
    _write(store, job.job_id, msgspec.structs.replace(known, savepoints=savepoints))


def find(config: Config, cluster: Cluster, environment: Mapping[str, str]) -> Left:
    """Look for what earlier runs of the job left."""
    store = checkpoint_store(config, cluster, environment)
    records = _records(store, config.job.name) if store else {}
    listed = {job.job_id: job for job in cluster.jobs() if job.name == config.job.name}
    never_ran = {job.job_id for job in listed.values() if not cluster.has_run(job)}
    times = {job.job_id: job.started_ms for job in listed.values()}
    times |= {id_: record.submitted_ms for id_, record in records.items() if record.submitted_ms}
    ids = (records.keys() | listed.keys()) - never_ran
    runs = sorted((Run(times.get(id_, 0), id_) for id_ in ids), reverse=True)

    def newest_of(run: Run) -> Snapshot | None:
        record, job = records.get(run.job_id), listed.get(run.job_id)
        told = [*(record.savepoints if record else ()), *(cluster.snapshots(job) if job else ())]
        found = [*_present(told, environment), *(_checkpoints(store, run.job_id) if store else ())]
        return max(found, default=None)

    snapshots = map(newest_of, runs)  # Lazily: most often the newest run's is looked for alone.
    snapshot = next(snapshots, None)
    older = None if snapshot else next(filter(None, snapshots), None)
    last = snapshot or older
    may_wait = last is not None and fresh.may_wait(last.uri, environment)
    data = tuple(_data(config, environment))
    return Left(next(iter(runs), None), snapshot, older, may_wait, data)


def _ids(stored: Iterable[Stored]) -> list[str]:
    """Return the ids of the jobs that have a record, of what is stored among the records."""
    names = (each.path.rpartition("/")[2] for each in stored)
    return [match[1] for match in map(_RECORD.fullmatch, names) if match]


def _path(job_id: str) -> str:
    return f"{_RECORDS}/{job_id}.json"


def _records(store: Store, name: str, apart_from: Collection[str] = ()) -> dict[str, _Record]:
    """Return the records of the jobs of a name by their ids."""
    ids = (job_id for job_id in _ids(store.everything(_RECORDS)) if job_id not in apart_from)
    records = ((job_id, _read(store, job_id)) for job_id in ids)
    return {job_id: record for job_id, record in records if record and record.name == name}


def _read(store: Store, job_id: str) -> _Record | None:
    """Return a job's record; None if there is none, or none any more."""
    path = _path(job_id)
    try:
        return msgspec.json.decode(store.read(path), type=_Record)
    except FileNotFoundError:
        return None
    except msgspec.MsgspecError as error:
        raise UserError(
            f"{store.uri}/{path} cannot be read ({error}); it says which job the checkpoints beside"
            " it are of. Delete it if that is known otherwise."
        ) from error


def _write(store: Store, job_id: str, record: _Record) -> None:
    store.write(_path(job_id), msgspec.json.encode(record))


def _checkpoints(store: Store, job_id: str) -> Iterator[Snapshot]:
    for stored in store.beginning_with(f"{job_id}/chk-"):
        inner = stored.path.removeprefix(f"{job_id}/")
        if _CHECKPOINT.fullmatch(inner) and stored.modified_ms is not None:
            yield Snapshot(
                stored.modified_ms, f"{store.uri}/{stored.path.removesuffix(f'/{METADATA}')}"
            )


def _present(uris: Iterable[str], environment: Mapping[str, str]) -> Iterator[Snapshot]:
    """Yield those snapshots that are there; one in a store that we cannot read counts as absent."""
    for uri in uris:
        if not uri.startswith(READABLE):
            continue
        stored = open_store(uri, environment).stat(METADATA)
        if stored and stored.modified_ms is not None:
            yield Snapshot(stored.modified_ms, uri)


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
    start = f"earlier runs of {config.job.name} left {found or 'snapshots'}."
    if left.snapshot:
        resume = "--resume: go on from that snapshot"
    elif left.newest and left.older:
        resume = (
            f"--resume: not possible, the newest run, {left.newest}, left no checkpoint or"
            f" savepoint that is known. The newest one of a run before it is {left.older}: going on"
            f" from there writes once more what {left.newest.job_id} wrote"
        )
    else:
        resume = "--resume: not possible, no checkpoint or savepoint of a job of this name is known"
    if choice == "resume":
        return (
            f"{start} There is nothing to resume from ({resume.removeprefix('--resume: ')}): give"
            " --savepoint PATH or --fresh."
        )
    flags = "--fresh --allow-dropped-state" if left.loses(config) else "--fresh"
    anew = "; ".join(["begin anew", *filter(None, [_what_repeats(config, left)])])
    return (
        f"{start} Choose one. {resume}. --savepoint PATH: go on from another one. {flags}: {anew}."
    )


def _loss(config: Config, left: Left) -> str:
    last = left.snapshot or left.older
    assert last
    go_on = "--resume" if left.snapshot else f"--savepoint {last.uri}"
    return (
        f"the snapshot {last} was not taken by `stop --drain`: rows that are collected for files"
        f" may wait in it, and with {' and '.join(left.loses(config))} a fresh start does not read"
        f" them again. Give {go_on}, which writes them; `stop --drain` that job if you want to"
        " begin anew then. To give these rows up, give --fresh --allow-dropped-state."
    )


def _time(epoch_ms: int) -> str:
    return f"{datetime.fromtimestamp(epoch_ms / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"


def _what_repeats(config: Config, left: Left) -> str:
    """Say what a fresh start doubles, skips and gives up; empty if nothing was left."""
    last = left.snapshot or left.older
    told = fresh.repeats(config.source) if left.data else []
    if last and left.may_wait:
        given_up = "given up" if left.loses(config) else "lost if the source has them no more"
        told.append(f"rows that may wait in {last.uri} to be written to files are {given_up}")
    elif left.data and not last and folders(config) and fresh.skipping(config.source):
        told.append("rows that the last run still collected for files, if any, are lost")
    return f"{'; '.join(told)} ({'; '.join(left.data)})" if left.data else "; ".join(told)

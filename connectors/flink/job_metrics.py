"""The metrics and checkpoints of one running job, as Flink's REST API tells them.

Flink fetches metrics from its processes only when it is asked, and not more often than its
`metrics.fetcher.update-interval` (10 s by default): the first answer can be as old as the last
question, or empty. The job's own `uptime` is among the metrics, so it tells when that was.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from connectors.flink.rest import Cluster, Job, last_cause

_CONNECTIONS: Final = 8
_UPTIME: Final = "uptime"
_RESTARTS: Final = "numRestarts"
_FETCH_INTERVAL: Final = "metrics.fetcher.update-interval"
_CPU: Final = "Status.JVM.CPU.Time"
# Flink answers a longer request line (4,096 bytes) with 404.
_LONGEST_LIST: Final = 3_000
_RUNNING: Final = "RUNNING"
_WAITING: Final = ("CREATED", "SCHEDULED")


class Stamp(NamedTuple):
    """Two metrics that change with every fetch, and so tell whether Flink has fetched new ones.

    They are the uptime of the job, and the CPU time of the TaskManagers, whose answers follow the
    JobManager's. None was not fetched yet.
    """

    uptime: float | None
    cpu: float | None

    def follows(self, other: Stamp) -> bool:
        """Return whether both were fetched, and both after those of the other stamp."""
        pairs = zip(self, other, strict=True)
        return all(mine is not None and mine != others for mine, others in pairs)


class Aggregate(NamedTuple):
    """A metric over all tasks of its operator."""

    sum: float
    max: float


class Checkpoint(NamedTuple):
    """A completed checkpoint: its number, when it completed, how long it took, and its bytes."""

    number: int
    completed_ms: int
    duration_ms: int
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A job as it is now. Times are epoch milliseconds by Flink's clock; None is unknown.

    `since_ms` is when it came into its state, `tasks_ms` when the youngest of its tasks started,
    which is since when counters count. `metrics` are by operator and name, such as
    `decode.numRecordsIn`, and empty while not all tasks run: Flink still has those of tasks that
    ended. `fetched_ms` is when Flink fetched them. `failed` is why the newest checkpoint failed,
    empty if it did not. `cause` is why a task failed last, empty if none did.
    """

    job: Job
    now_ms: int
    since_ms: int
    tasks_ms: int | None
    tasks: int
    tasks_running: int
    tasks_waiting: int
    metrics: Mapping[str, Aggregate]
    fetched_ms: int | None
    checkpoint: Checkpoint | None
    failed: str
    restarts: int | None
    cause: str

    @property
    def runs(self) -> bool:
        """Return whether every task runs."""
        return self.job.state == _RUNNING and self.tasks == self.tasks_running


class JobMetrics:
    """Reads one job. `wanted` chooses metrics by operator and name; requests go side by side."""

    def __init__(self, cluster: Cluster, job_id: str, wanted: Callable[[str], bool]) -> None:
        self._cluster = cluster
        self._path = f"/jobs/{job_id}"
        self._wanted = wanted
        self._pool = ThreadPoolExecutor(_CONNECTIONS)

    def close(self) -> None:
        """End the connections' threads; requests that were not sent yet are given up."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def fetched_twice_within(self, seconds: float) -> bool:
        """Return whether Flink fetches metrics twice in this time, which is below one second."""
        milliseconds = re.fullmatch(r"(\d+) ?(ms)?", self._cluster.option(_FETCH_INTERVAL))
        return milliseconds is not None and int(milliseconds[1]) < seconds * 1000

    def stamp(self) -> Stamp:
        """Return what tells the metrics that Flink has from others, and have it fetch new ones."""
        own, managers = self._all([self._own(), f"/taskmanagers/metrics?get={_CPU}&agg=sum"])
        uptime, cpu = _values(own, "value").get(_UPTIME), _values(managers, "sum").get(_CPU)
        return Stamp(uptime, cpu)

    def read(self) -> Reading:
        """Return the job as it is now.

        Raises:
            OSError: the cluster does not answer, or does not know the job (an HTTPError).
        """
        names = ("", "/checkpoints", "/exceptions?maxExceptions=1")
        details, checkpoints, exceptions, own = self._all(
            [*(self._path + name for name in names), self._own()]
        )
        metrics: Iterable[Any] = ()
        if _all_run(details):
            folders = [
                f"{self._path}/vertices/{vertex['id']}/subtasks/metrics"
                for vertex in details["vertices"]
            ]
            metrics = self._all(
                f"{folder}?agg=sum,max&get={names}"
                for folder, listed in zip(folders, self._all(folders), strict=True)
                for names in name_lists(each["id"] for each in listed if self._wanted(each["id"]))
            )
        return reading(details, checkpoints, exceptions, own, metrics)

    def _own(self) -> str:
        return f"{self._path}/metrics?get={_UPTIME},{_RESTARTS}"

    def _all(self, paths: Iterable[str]) -> list[Any]:
        return list(self._pool.map(self._cluster.get, paths))


def reading(
    details: Mapping[str, Any],
    checkpoints: Mapping[str, Any],
    exceptions: Mapping[str, Any],
    own: Sequence[Mapping[str, Any]],
    metrics: Iterable[Sequence[Mapping[str, Any]]],
) -> Reading:
    """Return a reading from Flink's answers: the job, and lists of its own and tasks' metrics."""
    state, vertices = str(details["state"]), details["vertices"]
    numbers = _values(own, "value")
    tasks = [vertex["tasks"] for vertex in vertices]
    starts = [vertex["start-time"] for vertex in vertices]
    entries = exceptions["exceptionHistory"]["entries"]
    return Reading(
        job=Job(str(details["jid"]), str(details["name"]), state, int(details["start-time"])),
        now_ms=int(details["now"]),
        since_ms=int(details["timestamps"].get(state) or details["start-time"]),
        tasks_ms=max(starts) if starts and min(starts) > 0 else None,
        tasks=sum(vertex["parallelism"] for vertex in vertices),
        tasks_running=sum(each[_RUNNING] for each in tasks),
        tasks_waiting=sum(each[state] for each in tasks for state in _WAITING),
        metrics=dict(_aggregates(metrics)),
        fetched_ms=_fetched_ms(details, numbers),
        checkpoint=_completed(checkpoints["latest"]),
        failed=_failed(checkpoints["latest"]),
        restarts=int(numbers[_RESTARTS]) if _RESTARTS in numbers else None,
        cause=last_cause(entries),
    )


def _all_run(details: Mapping[str, Any]) -> bool:
    return details["state"] == _RUNNING and all(
        vertex["tasks"][_RUNNING] == vertex["parallelism"] for vertex in details["vertices"]
    )


def _fetched_ms(details: Mapping[str, Any], own: Mapping[str, float]) -> int | None:
    """Return when the metrics were fetched; None if that was never, or before the last restart."""
    uptime = own.get(_UPTIME, 0)
    running_ms = details["timestamps"][_RUNNING]
    if details["state"] != _RUNNING or uptime <= 0 or running_ms + uptime > details["now"] + 1_000:
        return None
    return int(running_ms + uptime)


def _values(metrics: Iterable[Mapping[str, Any]], field: str) -> dict[str, float]:
    """Return the metrics that have a number; NaN, which Flink writes as a text, is none."""
    values = ((str(each["id"]), _number(each.get(field))) for each in metrics)
    return {name: value for name, value in values if value is not None}


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _aggregates(answers: Iterable[Sequence[Mapping[str, Any]]]) -> Iterator[tuple[str, Aggregate]]:
    for metrics in answers:
        sums, largest = _values(metrics, "sum"), _values(metrics, "max")
        for name in sums.keys() & largest.keys():
            yield name, Aggregate(sums[name], largest[name])


def name_lists(names: Iterable[str]) -> Iterator[str]:
    """Yield names for `get=`, separated by commas, each list as long as Flink takes."""
    listed = ""
    for name in map(quote, names):
        if listed and len(listed) + len(name) >= _LONGEST_LIST:
            yield listed
            listed = ""
        listed += f",{name}" if listed else name
    if listed:
        yield listed


def _completed(latest: Mapping[str, Any]) -> Checkpoint | None:
    completed = latest.get("completed")
    return completed and Checkpoint(
        int(completed["id"]),
        int(completed["latest_ack_timestamp"]),
        int(completed["end_to_end_duration"]),
        int(completed["checkpointed_size"]),
    )


def _failed(latest: Mapping[str, Any]) -> str:
    """Return why the newest checkpoint failed; empty if it did not.

    The count of failed ones says less: Flink counts there each one that it did not even begin
    while tasks were starting.
    """
    failed, completed = latest.get("failed"), latest.get("completed")
    if not failed or (completed and completed["id"] > failed["id"]):
        return ""
    return str(failed.get("failure_message") or "Flink does not say why")

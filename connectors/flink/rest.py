"""Flink's REST API: watch, stop and cancel a job, and say why one failed."""

from __future__ import annotations

import json
import re
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from http.client import HTTPException
from typing import Any, Final, NamedTuple

from connectors.errors import JobFailed, UserError
from connectors.text_files import masked

_NO_EXCEPTION: Final = "no exception was recorded"
_STARTING: Final = ("CREATED", "SCHEDULED", "DEPLOYING", "INITIALIZING")
_TERMINAL = frozenset({"FAILED", "CANCELED", "FINISHED", "SUSPENDED"})

# The last line of a Python traceback, `pipeline.steps.x.SomeError: what is wrong`.
_PYTHON_ERROR = re.compile(r"([a-z_]+\.)*[A-Z]\w*(Error|Exceeded): ")

# Flink's messages about a savepoint that it rejects, and what they mean to the user.
_SAVEPOINT_PROBLEMS = (
    (
        re.compile(r"Cannot map checkpoint/savepoint state for operator ([0-9a-f]{32})"),
        "the savepoint has state of an operator ({}) that this job does not have: a sink, a source"
        " or an event type was removed or renamed. Put it back, or give --allow-dropped-state to"
        " forget that state; docs/upgrade.md says what is lost then.",
    ),
    (
        re.compile(r"Cannot map operator [0-9a-f]{32} with max parallelism (\d+) to"),
        "the savepoint was taken with job.max_parallelism {}, which cannot change; set it to that.",
    ),
)
# Under their present and their former names.
_CHECKPOINTS: Final = ("execution.checkpointing.dir", "state.checkpoints.dir")
_SAVEPOINTS: Final = ("execution.checkpointing.savepoint-dir", "state.savepoints.dir")
_BACKENDS: Final = ("state.backend.type", "state.backend")


class Checkpoints(NamedTuple):
    """Numbers of checkpoints since the job's last start."""

    completed: int
    failed: int


class Job(NamedTuple):
    """A job that the cluster knows: its id, name, state, such as RUNNING, and start (epoch ms)."""

    job_id: str
    name: str
    state: str
    started_ms: int = 0

    @property
    def has_ended(self) -> bool:
        """Return whether the job ended, for whatever reason."""
        return self.state in _TERMINAL


class JobStatus(NamedTuple):
    """A job, and how it is.

    `checkpoint` is the address of its last completed checkpoint, `checkpoint_ms` when that
    completed, both None if none did; times are epoch milliseconds. `failures` counts since the
    start, at most the sixteen that Flink keeps; `cause` is the last one's in one line, empty if
    there was none.
    """

    job: Job
    started_ms: int
    parallelism: int
    checkpoint: str | None
    checkpoint_ms: int | None
    failures: int
    cause: str


class Cluster:
    """A Flink cluster at its REST address, such as `http://127.0.0.1:8081`."""

    def __init__(self, url: str, prometheus_urls: Sequence[str] = ()) -> None:
        self._url = url
        self._prometheus_urls = tuple(prometheus_urls)

    def get(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Return the JSON response to a GET, or to a POST if there is a body."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self._url + path, data=data, headers={"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=30) as response:
            return json.load(response)

    def jobs(self) -> list[Job]:
        """Return the jobs that the JobManager knows, also those that ended since it started.

        Raises:
            UserError: the cluster does not answer.
        """
        try:
            jobs = self.get("/jobs/overview")["jobs"]
            return [Job(job["jid"], job["name"], job["state"], job["start-time"]) for job in jobs]
        except (OSError, HTTPException, ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"the Flink cluster at {masked(self._url)} does not answer"
                f" ({getattr(error, 'reason', error)}); is it up, and FLINK_REST_URL right?"
            ) from error

    def statuses(self, jobs: Iterable[Job]) -> list[JobStatus]:
        """Return how jobs are; without those that the cluster forgot, since they ended long ago."""
        found = []
        for job in jobs:
            with _forgotten():
                found.append(self.status(job))
        return found

    def has_run(self, job: Job) -> bool:
        """Return whether a job ever was RUNNING; one that was not has written nothing.

        Flink lists also jobs that it could not start, such as those with a wrong savepoint. A job
        that the cluster forgot counts as one that was.
        """
        with _forgotten():
            return bool(self.get(f"/jobs/{job.job_id}")["timestamps"]["RUNNING"] > 0)
        return True

    def may_run(self, job_id: str) -> bool:
        """Return whether a job runs, or did: one that Flink could not start does not count."""
        job = next((job for job in self.jobs() if job.job_id == job_id), None)
        return job is not None and (not job.has_ended or self.has_run(job))

    def snapshots(self, job: Job) -> list[str]:
        """Return the addresses of a job's last completed checkpoint and of its last savepoint.

        Whoever asked for the savepoint: `flink stop`, the web UI or REST. They may be gone by now.
        """
        with _forgotten():
            latest = self.get(f"/jobs/{job.job_id}/checkpoints")["latest"]
            taken = [latest.get("completed"), latest.get("savepoint")]
            return [_with_slashes(each["external_path"]) for each in taken if each]
        return []

    def status(self, job: Job) -> JobStatus:
        """Return how a job is."""
        details = self.get(f"/jobs/{job.job_id}")
        completed = self.get(f"/jobs/{job.job_id}/checkpoints")["latest"].get("completed") or {}
        failures = self.get(f"/jobs/{job.job_id}/exceptions")["exceptionHistory"]["entries"]
        return JobStatus(
            job,
            int(details["start-time"]),
            max((vertex["parallelism"] for vertex in details["vertices"]), default=0),
            completed.get("external_path"),
            completed.get("latest_ack_timestamp"),
            len(failures),
            last_cause(failures),
        )

    def option(self, name: str) -> str:
        """Return an option of the JobManager's configuration; empty if it is not set."""
        options = {option["key"]: option["value"] for option in self.get("/jobmanager/config")}
        return str(options.get(name, ""))

    def free_slots(self) -> int:
        """Return the number of free task slots."""
        return int(self.get("/overview")["slots-available"])

    def heap_of_a_slot(self) -> int | None:
        """Return the least task heap of a slot, in bytes, of the TaskManagers that there are.

        None if there are none yet, or if state is kept elsewhere than on the heap.
        """
        backend = next(filter(None, map(self.option, _BACKENDS)), "hashmap")
        if backend != "hashmap":
            return None
        managers = self.get("/taskmanagers")["taskmanagers"]
        heaps = [
            each["memoryConfiguration"]["taskHeap"] // each["slotsNumber"] for each in managers
        ]
        return min(heaps, default=None)

    def state(self, job_id: str) -> str:
        """Return the job's state: RUNNING, RESTARTING, FAILED and so on."""
        return str(self.get(f"/jobs/{job_id}")["state"])

    def running(self, job_id: str) -> bool:
        """Return whether every task runs.

        Raises:
            JobFailed: the job ended by itself; the message names a file with the stack trace.
        """
        job = self.get(f"/jobs/{job_id}")
        if job["state"] in _TERMINAL:
            trace = self._newest_trace(job_id)
            cause = _in_short(trace, _cause(trace)) if trace else _NO_EXCEPTION
            raise JobFailed(f"{job['state']}: {cause}")
        return job["state"] == "RUNNING" and all(
            vertex["status"] == "RUNNING" for vertex in job["vertices"]
        )

    def root_cause(self, job_id: str) -> str:
        """Return the newest exception's causes, with our Python code's error first."""
        trace = self._newest_trace(job_id)
        return "\n".join(_causes(trace))[:2000] if trace else _NO_EXCEPTION

    def _newest_trace(self, job_id: str) -> str:
        entries = self.get(f"/jobs/{job_id}/exceptions")["exceptionHistory"]["entries"]
        return str(entries[0]["stacktrace"]) if entries else ""

    def cancel(self, job_id: str) -> None:
        """Cancel the job without a savepoint, unless it has ended already."""
        if self.state(job_id) not in _TERMINAL:
            request = urllib.request.Request(f"{self._url}/jobs/{job_id}", method="PATCH")
            urllib.request.urlopen(request, timeout=30).close()

    def checkpoints(self, job_id: str) -> Checkpoints:
        """Return how many checkpoints completed and failed so far."""
        counts = self.get(f"/jobs/{job_id}/checkpoints")["counts"]
        return Checkpoints(counts["completed"], counts["failed"])

    def checkpoint_folder(self, job_id: str) -> str:
        """Return the folder that holds the folders of a job's checkpoints.

        Empty if they go to the JobManager's memory, or none completed and the cluster has no such
        folder.
        """
        latest = self.get(f"/jobs/{job_id}/checkpoints")["latest"].get("completed") or {}
        folder, found, _ = latest.get("external_path", "").partition(f"/{job_id}/")
        return folder if found else self.checkpoint_root()

    def checkpoint_root(self) -> str:
        """Return the cluster's own folder of checkpoints; empty if there is none."""
        return next(filter(None, map(self.option, _CHECKPOINTS)), "")

    def checkpoint_folders(self) -> set[str]:
        """Return the cluster's own folders of checkpoints and savepoints; a job may have others."""
        options = {option["key"]: option["value"] for option in self.get("/jobmanager/config")}
        return {options[key] for key in (*_CHECKPOINTS, *_SAVEPOINTS) if options.get(key)}

    def needed_since(self) -> dict[str, int]:
        """Return since when (epoch ms) each unfinished job may need its open files, by a name.

        That is its last completed checkpoint and last savepoint, or its start if it has neither.
        """
        since = {}
        for job in self.get("/jobs/overview")["jobs"]:
            if job["state"] in _TERMINAL:
                continue
            latest = self.get(f"/jobs/{job['jid']}/checkpoints")["latest"]
            for kind in ("completed", "savepoint"):
                if taken := latest.get(kind):
                    name = f"checkpoint {taken['id']} of job {job['jid']}"
                    since[name] = int(taken["trigger_timestamp"])
            if not latest.get("completed"):
                since[f"the start of job {job['jid']}"] = int(job["start-time"])
        return since

    def stop_with_savepoint(
        self, job_id: str, directory: str, *, timeout_seconds: float, drain: bool = False
    ) -> str:
        """Take a savepoint, stop the job, and return the savepoint's path.

        `drain`: first let the operators pass on all that they hold, as at the end of the input. A
        job whose tasks are starting is waited for: Flink would refuse.

        Raises:
            JobFailed: the savepoint failed.
            TimeoutError: it did not complete in time.
        """
        with suppress(TimeoutError):  # then Flink says what is wrong
            wait_for(lambda: self._has_started(job_id), timeout_seconds / 2, "")
        body = {"drain": drain, "targetDirectory": directory}
        trigger = self.get(f"/jobs/{job_id}/stop", body)["request-id"]
        path = f"/jobs/{job_id}/savepoints/{trigger}"
        operation = wait_for(
            lambda: _completed(self.get(path)), timeout_seconds, "the savepoint did not complete"
        )
        if "location" not in operation:
            trace = operation["failure-cause"]["stack-trace"]
            raise JobFailed(f"the savepoint failed: {_in_short(trace, _last_cause(trace))}")
        return str(operation["location"])

    def _has_started(self, job_id: str) -> bool:
        """Return whether no task of the job is on its way to run; also if the job does not run."""
        job = self.get(f"/jobs/{job_id}")
        return job["state"] != "RUNNING" or not any(
            vertex["status"] in _STARTING for vertex in job["vertices"]
        )

    def step_metrics(self) -> dict[str, float]:
        """Return our counters, such as `decode.in`, summed over all tasks."""
        from connectors.flink import metrics  # here: most commands need no parser of metrics

        return metrics.step_totals(self._prometheus_urls)


def wait_for(
    probe: Callable[[], Any], timeout_seconds: float, otherwise: str, *, every: float = 0.25
) -> Any:
    """Call `probe` until its result is true and return it; else TimeoutError(otherwise)."""
    deadline = time.monotonic() + timeout_seconds
    while not (result := probe()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{otherwise} within {timeout_seconds:g} s")
        time.sleep(every)
    return result


@contextmanager
def _forgotten() -> Iterator[None]:
    """End the block early if the cluster does not know the job, which may expire at any time."""
    try:
        yield
    except urllib.error.HTTPError as error:
        if error.code != 404:
            raise


def _with_slashes(address: str) -> str:
    """Return Flink's `file:/folder` as `file:///folder`; other addresses stay."""
    return re.sub(r"^file:/+", "file:///", address)


def _causes(stack_trace: str) -> list[str]:
    """Return the lines of a stack trace that name a cause, with our Python code's error first."""
    trace = stack_trace.splitlines()
    ours = [line for line in trace if _PYTHON_ERROR.match(line)]
    return [*ours[:1], *trace[:1], *(line for line in trace if line.startswith("Caused by"))]


def last_cause(failures: Sequence[Mapping[str, Any]]) -> str:
    """Return the cause of the newest of a job's failures in one line; empty if there is none.

    `failures` are Flink's entries, the newest first.
    """
    return _cause(failures[0]["stacktrace"]) if failures else ""


def _cause(stack_trace: str) -> str:
    """Return the innermost cause in one line, or our Python code's error."""
    first, *others = _causes(stack_trace) or [_NO_EXCEPTION]
    line = first if _PYTHON_ERROR.match(first) else [first, *others][-1]
    return line.removeprefix("Caused by: ")[:500]


def _completed(status: Mapping[str, Any]) -> Mapping[str, Any] | None:
    return status["operation"] if status["status"]["id"] == "COMPLETED" else None


def reason(output: str) -> str:
    """Return why a job was not submitted, in a sentence: our own message, else Flink's cause.

    Where it is Flink's, the whole output is kept in a file that the message names.
    """
    own = [line for line in output.splitlines() if line.startswith("streaming-etl: ")]
    for pattern, meaning in _SAVEPOINT_PROBLEMS:
        if match := pattern.search(output):
            return meaning.format(match[1])
    return "\n".join(own) or _in_short(output, _last_cause(output))


def _last_cause(output: str) -> str:
    """Return the innermost cause in what a program printed, else the last line."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    causes = [line for line in lines if line.startswith("Caused by: ")]
    cause = [*lines[-1:], *causes][-1] if lines else "Flink said nothing"
    return cause.removeprefix("Caused by: ")[:500]


def _in_short(output: str, cause: str) -> str:
    """Return the cause, and the file that keeps all of the output."""
    handle, path = tempfile.mkstemp(prefix="streaming-etl-flink-", suffix=".log")
    with open(handle, "w", encoding="utf-8") as file:
        file.write(output)
    return f"{cause.rstrip('.')}. All that Flink said is in {path}."

"""Flink's own configuration keys, derived from the section `job`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pipeline.config.model import Job


def flink_settings(job: Job) -> dict[str, str]:
    """Return Flink's keys and values, without what is None or in `leave_to_cluster`."""
    return {
        key: str(value)
        for key, value in _settings(job).items()
        if value is not None and not _matches(key, job.leave_to_cluster)
    }


def leave_problems(job: Job) -> Iterator[str]:
    """Yield each entry of `leave_to_cluster` that is no setting of the job's."""
    known = _settings(job)
    for entry in job.leave_to_cluster:
        if not any(_matches(key, [entry]) for key in known):
            yield (
                f"job.leave_to_cluster has {entry}, which the job never sets; it can leave"
                f" {', '.join(known)}, or several by a beginning and *, such as"
                " python.fn-execution.*"
            )


def _settings(job: Job) -> dict[str, object]:
    pause = job.checkpoint_pause_seconds
    if pause is None and job.checkpoint_seconds is not None:
        # Without a pause Flink makes up for the checkpoints missed in a stall, all in a burst.
        pause = job.checkpoint_seconds / 2
    retention = None if job.checkpoint_seconds is None else "RETAIN_ON_CANCELLATION"
    settings: dict[str, object] = {
        "pipeline.name": job.name,
        "pipeline.max-parallelism": job.max_parallelism,
        "pipeline.object-reuse": "true",
        "table.local-time-zone": "UTC",
        "python.fn-execution.arrow.batch.size": job.batch_records,
        "python.fn-execution.bundle.size": job.bundle_records,
        "python.fn-execution.bundle.time": job.bundle_milliseconds,
        # The collector's map state holds streams of up to a megabyte: pass few at a time, and
        # read each once.
        "python.map-state.read-cache-size": 0,
        "python.map-state.write-cache-size": 16,
        "python.map-state.iterate-response-batch-size": 16,
        "parallelism.default": job.parallelism,
        "execution.checkpointing.interval": _millis(job.checkpoint_seconds),
        "execution.checkpointing.min-pause": _millis(pause),
        "execution.checkpointing.timeout": _millis(job.checkpoint_timeout_seconds),
        "execution.checkpointing.dir": job.checkpoint_dir or None,
        "execution.checkpointing.externalized-checkpoint-retention": retention,
    }
    if job.max_failures is not None:  # After that the job fails and its last error is shown.
        settings |= {
            "restart-strategy.type": "failure-rate",
            "restart-strategy.failure-rate.max-failures-per-interval": job.max_failures,
            "restart-strategy.failure-rate.failure-rate-interval": "10 min",
            "restart-strategy.failure-rate.delay": "2 s",
        }
    return settings


def _matches(key: str, entries: Iterable[str]) -> bool:
    return any(
        key.startswith(entry[:-1]) if entry.endswith("*") else key == entry for entry in entries
    )


def _millis(seconds: float | None) -> str | None:
    return None if seconds is None else f"{round(seconds * 1000)} ms"

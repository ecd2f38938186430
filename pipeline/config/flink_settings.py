"""Flink's own configuration keys, derived from the section `job`."""

from __future__ import annotations

from typing import Any

from pipeline.config.model import Job


def flink_settings(job: Job) -> dict[str, str]:
    """Return Flink's keys and values; a setting that is None is left to the cluster."""
    batches = {
        "python.fn-execution.arrow.batch.size": str(job.batch_records),
        "python.fn-execution.bundle.size": str(job.bundle_records),
        "python.fn-execution.bundle.time": str(job.bundle_milliseconds),
    }
    optional = {
        "parallelism.default": job.parallelism,
        "execution.checkpointing.interval": _millis(job.checkpoint_seconds),
        "execution.checkpointing.timeout": _millis(job.checkpoint_timeout_seconds),
        "execution.checkpointing.dir": job.checkpoint_dir or None,
        "execution.checkpointing.externalized-checkpoint-retention": (
            None if job.checkpoint_seconds is None else "RETAIN_ON_CANCELLATION"
        ),
        **_restarts(job),
    }
    return {
        "pipeline.name": job.name,
        "pipeline.max-parallelism": str(job.max_parallelism),
        "pipeline.object-reuse": "true",
        "table.local-time-zone": "UTC",
        **batches,
        **{key: str(value) for key, value in optional.items() if value is not None},
    }


def _restarts(job: Job) -> dict[str, Any]:
    """After so many failures in ten minutes the job has failed, and its last error is shown."""
    if job.max_failures is None:
        return {}
    prefix = "restart-strategy.failure-rate"
    return {
        "restart-strategy.type": "failure-rate",
        f"{prefix}.max-failures-per-interval": job.max_failures,
        f"{prefix}.failure-rate-interval": "10 min",
        f"{prefix}.delay": "2 s",
    }


def _millis(seconds: float | None) -> str | None:
    return None if seconds is None else f"{round(seconds * 1000)} ms"

"""The commands that look after jobs on a Flink cluster: `jobs`, `stop` and `cancel`.

FLINK_REST_URL says which cluster.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Annotated, Any

import typer

from connectors.flink.rest import JobStatus
from pipeline.options import JsonOption
from pipeline.report_table import blocks
from pipeline.terminal import instant

JobIdArgument = Annotated[str, typer.Argument(help="As `run` printed it, and `jobs` lists it.")]
StoppedJobArgument = Annotated[
    str, typer.Argument(help="As `jobs` lists it. Left out: the only job that has not ended.")
]


def add_to(main: typer.Typer) -> None:
    """Add the commands to the main program."""
    main.command(epilog="Example: streaming-etl jobs")(jobs)
    main.command(epilog="Example: streaming-etl stop JOB_ID --into s3a://streaming-etl/savepoints")(
        stop
    )
    main.command(epilog="Example: streaming-etl cancel JOB_ID")(cancel)


def jobs(as_json: JsonOption = False) -> None:
    """List the cluster's jobs: state, start, last checkpoint, failures and the last cause."""
    from pipeline.cluster import cluster_of

    cluster = cluster_of(os.environ)
    found = cluster.statuses(cluster.jobs())
    found.sort(key=lambda status: status.started_ms, reverse=True)
    if as_json:
        print(json.dumps([_plain(status) for status in found]))
    elif found:
        print(blocks([_plain(status) for status in found]))
    else:
        print("no jobs")


def stop(
    into: Annotated[str, typer.Option(help="Where to put the savepoint; s3a:// or file://.")],
    job_id: StoppedJobArgument = "",
    drain: Annotated[
        bool, typer.Option("--drain", help="Write all rows to files: nothing stays collected.")
    ] = False,
    timeout: Annotated[float, typer.Option(help="Seconds to wait for the savepoint.")] = 300.0,
    as_json: JsonOption = False,
) -> None:
    """Stop the job with a savepoint, all files and transactions committed; print its path.

    Rows that are still collected for a file wait in the savepoint, and `run --resume` writes them
    to the lake, the archive and the dead letters. --drain writes them before the job ends: for a
    job that does not come back or begins anew (`run --fresh`), or to read all rows now.
    """
    from pipeline import fresh
    from pipeline.cluster import cluster_of, the_only_job
    from pipeline.submit import stop as stop_job

    job_id = job_id or the_only_job(cluster_of(os.environ).jobs()).job_id
    savepoint = stop_job(job_id, os.environ, into=into, timeout_seconds=timeout, drain=drain)
    _tell(fresh.note(savepoint, os.environ))
    print(json.dumps({"savepoint": savepoint}) if as_json else savepoint)


def cancel(job_id: JobIdArgument, as_json: JsonOption = False) -> None:
    """End the job without a savepoint, in whatever state; print the checkpoint that stays.

    `run --resume` goes on from there: no sink with exactly once loses or doubles anything, while
    Kinesis and dead letters on Kafka get what came after it twice. Rows that are still collected
    for a file wait in that checkpoint, and only `run --resume` writes them to the lake, the archive
    and the dead letters. Prefer `stop` for a job that is RUNNING.
    """
    from pipeline import fresh
    from pipeline.submit import cancel as cancel_job

    checkpoint = cancel_job(job_id, os.environ)
    _tell(fresh.note(checkpoint, os.environ) if checkpoint else "")
    stays = checkpoint or "no checkpoint: `run --resume` has nothing to go on from"
    print(json.dumps({"checkpoint": checkpoint}) if as_json else stays)


def _tell(note: str) -> None:
    if note:
        print(f"note: {note}", file=sys.stderr)


def _plain(status: JobStatus) -> dict[str, Any]:
    return {
        "name": status.job.name,
        "job_id": status.job.job_id,
        "state": status.job.state,
        "started": _time(status.started_ms),
        "parallelism": status.parallelism,
        "checkpoint": status.checkpoint,
        "checkpointed": _time(status.checkpoint_ms),
        "failures": status.failures,
        "cause": status.cause or None,
    }


def _time(epoch_ms: int | None) -> str | None:
    return None if epoch_ms is None else instant(epoch_ms)

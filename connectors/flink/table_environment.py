"""Flink itself: the environment, stable names, the plan. The only file that touches its internals.

The Table API gives operators names such as `Calc[7]` and no uid of their own, so a changed query
would lose its state. We set both from our step names, on the transformations, before the start.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from typing import Any

from py4j.protocol import Py4JJavaError
from pyflink.common import Configuration
from pyflink.datastream import StreamExecutionEnvironment
from pyflink.table import EnvironmentSettings, StatementSet, StreamTableEnvironment
from pyflink.util.exceptions import JavaException

from connectors.kinesis.sink import replace_placeholder
from pipeline.config.model import Job


def environment(job: Job) -> tuple[StreamExecutionEnvironment, Any]:
    """The stream and table environments, set as the configuration says; UTC throughout."""
    configuration = Configuration()
    for key, value in settings(job).items():
        configuration.set_string(key, value)
    stream = StreamExecutionEnvironment.get_execution_environment(configuration)
    tables = StreamTableEnvironment.create(
        stream,
        environment_settings=EnvironmentSettings.new_instance()
        .in_streaming_mode()
        .with_configuration(configuration)
        .build(),
    )
    return stream, tables


def settings(job: Job) -> dict[str, str]:
    """Flink's own keys for our configuration; what is None stays the cluster's business."""
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


def checkpoint_seconds(stream: StreamExecutionEnvironment) -> float | None:
    """How often this job takes a checkpoint, be it our setting or the cluster's; None: never."""
    checkpoints = stream.get_checkpoint_config()
    enabled = stream._j_stream_execution_environment.getCheckpointConfig().isCheckpointingEnabled()
    return checkpoints.get_checkpoint_interval() / 1000 if enabled else None


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


def name_steps(
    stream: StreamExecutionEnvironment,
    statements: StatementSet,
    sinks: Sequence[str],
    kinesis_sinks: Mapping[str, Any],
) -> list[str]:
    """Compile the statements into the stream and give each operator its step's name and uid.

    `sinks` are the sinks' names in the order of their statements; `kinesis_sinks` are Flink's sinks
    to put in the place of placeholder tables. Returns all names, each one once. Two runs of one
    configuration give the same names, which makes a savepoint restorable.
    """
    statements.attach_as_datastream()
    roots = list(stream._j_stream_execution_environment.getTransformations())
    named: dict[int, str] = {}
    for root, sink in zip(roots, sinks, strict=True):
        made = kinesis_sinks.get(sink)
        end = replace_placeholder(stream, root, sink, made) if made else root
        _name_upstream(end, sink, named)
    return list(named.values())


# What PyFlink raises for a query that the planner refuses.
SQL_ERRORS = (JavaException, Py4JJavaError)


def sql_problem(error: Exception) -> str:
    """The one line of a planner's stack trace that says what is wrong with the query."""
    lines = [line.strip() for line in str(error).splitlines()]
    causes = [line for line in lines if line.startswith(("Caused by:", "org.apache.flink", ":"))]
    said = causes[-1] if causes else lines[0]
    return re.sub(r"^(Caused by: |: )?([a-z]+\.)+[A-Z]\w*: ", "", said)


def _name_upstream(transformation: Any, sink: str, named: dict[int, str]) -> None:
    if transformation.getId() in named:
        return
    inputs = list(transformation.getInputs())
    for each in inputs:
        _name_upstream(each, sink, named)
    flinks_name, description = str(transformation.getName()), str(transformation.getDescription())
    step = step_name(flinks_name, description, sink=sink, is_source=not inputs)
    name = _unique(step, named)
    named[transformation.getId()] = name
    transformation.setName(name)
    if str(transformation.getClass().getSimpleName()) not in _VIRTUAL:
        transformation.setUid(name)


def step_name(name: str, description: str, *, sink: str, is_source: bool) -> str:
    """The name of the operator that Flink calls `name`, found on the way up from `sink`.

    >>> step_name("PythonCalc[3]", "PythonCalc(decode_step(raw) AS d)", sink="", is_source=False)
    'decode'
    >>> step_name("Calc[4]", "Calc(…)", sink="lake_trip", is_source=False)
    'lake_trip-columns'
    """
    kind = re.sub(r"\[\d+\]", "", name)
    if kind == "PythonCalc":
        return _python_step(description)
    if kind in {sink, "StreamingFileWriter"}:
        return sink
    if is_source:
        return kind
    if kind == "Calc" and "f0.is_event AS d_is_event" in description:
        return "decode-columns"
    if kind == "Calc":
        refused = re.search(r"'replica (\w+): '", description)
        return f"replicate_{refused[1]}-too_large" if refused else f"{sink}-columns"
    return f"{sink}-{kind.lower()}"


def _python_step(description: str) -> str:
    """The function that an operator calls, from a description that has it as `index_step(` or
    `seal_archive(`."""
    found = re.search(r"(?:(index|decode)_step|(seal_\w+))\(", description)
    assert found, description
    return found[1] or found[2]


def _unique(name: str, named: Mapping[int, str]) -> str:
    taken = set(named.values())
    numbered = (name if number == 1 else f"{name}-{number}" for number in itertools.count(1))
    return next(each for each in numbered if each not in taken)


# Edges of the graph, not operators: they take no uid.
_VIRTUAL = frozenset({"PartitionTransformation", "UnionTransformation"})


def _millis(seconds: float | None) -> str | None:
    return None if seconds is None else f"{round(seconds * 1000)} ms"

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


def environment(settings: Mapping[str, str]) -> tuple[StreamExecutionEnvironment, Any]:
    """Return the stream and table environments with Flink's own `settings` (key -> value)."""
    configuration = Configuration()
    for key, value in settings.items():
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


def checkpoint_seconds(stream: StreamExecutionEnvironment) -> float | None:
    """How often this job takes a checkpoint, be it our setting or the cluster's; None: never."""
    checkpoints = stream.get_checkpoint_config()
    enabled = stream._j_stream_execution_environment.getCheckpointConfig().isCheckpointingEnabled()
    return checkpoints.get_checkpoint_interval() / 1000 if enabled else None


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
    `claim_check_archive(`."""
    found = re.search(r"(?:(index|decode)_step|(claim_check_\w+))\(", description)
    assert found, description
    return found[1] or found[2]


def _unique(name: str, named: Mapping[int, str]) -> str:
    taken = set(named.values())
    numbered = (name if number == 1 else f"{name}-{number}" for number in itertools.count(1))
    return next(each for each in numbered if each not in taken)


# Edges of the graph, not operators: they take no uid.
_VIRTUAL = frozenset({"PartitionTransformation", "UnionTransformation"})

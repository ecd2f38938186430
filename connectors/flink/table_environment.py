"""Flink's table environment, and stable names and uids of operators.

The Table API names operators `Calc[7]` and gives them no uid, so a changed query would lose its
state. This module sets both, by our step names, on the translated transformations. It is the only
one that uses Flink's internals.
"""

from __future__ import annotations

import itertools
import re
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from py4j.protocol import Py4JJavaError
from pyflink.common import Configuration
from pyflink.datastream import StreamExecutionEnvironment
from pyflink.table import EnvironmentSettings, StatementSet, StreamTableEnvironment
from pyflink.util.exceptions import JavaException
from pyflink.util.java_utils import get_j_env_configuration

from connectors.errors import UserError

Replace = Callable[[StreamExecutionEnvironment, Any], Sequence[Any]]
"""Replaces the transformation of a placeholder table by others; returns the last of them."""


def environment(settings: Mapping[str, str]) -> tuple[StreamExecutionEnvironment, Any]:
    """Return the stream and the table environment with Flink's `settings` (key -> value)."""
    # Beam, which PyFlink imports for a Python function, needs it; nobody here can change that.
    warnings.filterwarnings("ignore", "pkg_resources is deprecated", UserWarning)
    configuration = _configuration(settings)
    stream = StreamExecutionEnvironment.get_execution_environment(configuration)
    builder = EnvironmentSettings.new_instance().in_streaming_mode()
    table_settings = builder.with_configuration(configuration).build()
    return stream, StreamTableEnvironment.create(stream, environment_settings=table_settings)


def configure(stream: StreamExecutionEnvironment, settings: Mapping[str, str]) -> None:
    """Add settings to those that the stream's job will be submitted with."""
    stream.configure(_configuration(settings))


def _configuration(settings: Mapping[str, str]) -> Configuration:
    configuration = Configuration()
    for key, value in settings.items():
        configuration.set_string(key, value)
    return configuration


def checkpoint_seconds(stream: StreamExecutionEnvironment) -> float | None:
    """Return the effective checkpoint interval, the job's or the cluster's; None if disabled."""
    checkpoints = stream.get_checkpoint_config()
    enabled = stream._j_stream_execution_environment.getCheckpointConfig().isCheckpointingEnabled()
    return checkpoints.get_checkpoint_interval() / 1000 if enabled else None


def name_steps(
    stream: StreamExecutionEnvironment,
    statements: StatementSet,
    sinks: Sequence[str],
    placeholders: Mapping[str, Replace],
) -> list[str]:
    """Translate the statements and give each operator its step's name and uid.

    `sinks` are the sinks' names in the order of their statements; `placeholders` are those whose
    tables are replaced. An operator that has a uid keeps it. Return all names, without duplicates.
    One configuration always yields the same names, so that a savepoint can be restored.
    """
    statements.attach_as_datastream()
    roots = list(stream._j_stream_execution_environment.getTransformations())
    named: dict[int, str] = {}
    for root, sink in zip(roots, sinks, strict=True):
        ends = placeholders[sink](stream, root) if sink in placeholders else [root]
        for end in ends:
            _name_upstream(end, sink, named)
    return list(named.values())


def remove(stream: StreamExecutionEnvironment, root: Any) -> list[Any]:
    """Leave out a statement that was there for the planner only; a `Replace`."""
    stream._j_stream_execution_environment.getTransformations().remove(root)
    return []


JAVA_ERRORS = (JavaException, Py4JJavaError)
"""Exceptions of PyFlink for one of Java, such as a query that the planner rejects."""

_REFUSED = re.compile(r"(?m)^ ?- Configuration ([\w.-]+)(?::| was changed)")


def refused_settings(error: Exception) -> list[str]:
    """Return the settings that a cluster does not take of a program; none for another error.

    The message is that of Flink's MutatedConfigurationException.

    >>> told = "Not allowed configuration change(s):\\n - Configuration a.b:1 not allowed."
    >>> refused_settings(ValueError(told))
    ['a.b']
    """
    text = str(error)
    return _REFUSED.findall(text) if "Not allowed configuration change(s)" in text else []


# What the planner notes for itself, and defaults of Flink that PyFlink repeats.
_NEEDLESS = re.compile(
    r"__table\.query-start\..+|execution\.runtime-mode|table\.exec\.mini-batch\.enabled"
)


def is_needless(setting: str) -> bool:
    """Return whether a planned job runs the same without a setting that PyFlink makes.

    >>> is_needless("execution.runtime-mode"), is_needless("pipeline.jars")
    (True, False)
    """
    return bool(_NEEDLESS.fullmatch(setting))


def forget_needless(stream: StreamExecutionEnvironment) -> None:
    """Submit a planned job without these settings, which a cluster may refuse."""
    settings = get_j_env_configuration(stream._j_stream_execution_environment)
    for key in filter(is_needless, list(settings.keySet())):
        settings.removeKey(key)


def require_utc(tables: Any) -> None:
    """Raise UserError unless the session's time zone, which the cluster may set, is UTC."""
    zone = tables._j_tenv.getConfig().getLocalTimeZone()
    if str(zone.normalized().getId()) not in ("Z", "UTC", "GMT"):
        raise UserError(
            f"the cluster's table.local-time-zone is {zone.getId()}, and times would be written in"
            " that zone; set it to UTC there, or let the job set it, which the cluster must allow"
            " and job.leave_to_cluster not name."
        )


def sql_problem(error: Exception) -> str:
    """Return the line of a planner's stack trace that says what is wrong with the query."""
    lines = [line.strip() for line in str(error).splitlines()]
    causes = [line for line in lines if line.startswith(("Caused by:", "org.apache.flink", ":"))]
    cause = causes[-1] if causes else lines[0]
    return re.sub(r"^(Caused by: |: )?([a-z]+\.)+[A-Z]\w*: ", "", cause)


def _name_upstream(transformation: Any, sink: str, named: dict[int, str]) -> None:
    if transformation.getId() in named:
        return
    inputs = list(transformation.getInputs())
    for upstream in inputs:
        _name_upstream(upstream, sink, named)
    if uid := transformation.getUid():
        named[transformation.getId()] = str(uid)
        return
    flink_name, description = str(transformation.getName()), str(transformation.getDescription())
    step = step_name(flink_name, description, sink=sink, is_source=not inputs)
    name = _unique(step, named.values())
    named[transformation.getId()] = name
    transformation.setName(name)
    if str(transformation.getClass().getSimpleName()) not in _VIRTUAL:
        transformation.setUid(name)


def step_name(name: str, description: str, *, sink: str, is_source: bool) -> str:
    """Return the step name of the operator that Flink calls `name`, upstream of `sink`.

    >>> step_name("PythonCalc[3]", "PythonCalc(decode_step(raw) AS d)", sink="", is_source=False)
    'decode'
    >>> step_name("Calc[4]", "Calc(…)", sink="collect", is_source=False)
    'collect-columns'
    """
    kind = re.sub(r"\[\d+\]", "", name)
    if kind in {"PythonCalc", "PythonCorrelate"}:  # calls `decode_step(`, `claim_check_archive(`, …
        match = re.search(r"\b(?:(\w+)_step|(claim_check_\w+))\(", description)
        assert match, description
        return match[1] or match[2]
    if kind in {sink, "StreamingFileWriter"}:
        return sink
    if is_source:
        return kind
    if kind == "Calc" and re.search(_DECODED, description):
        return "decode-columns"
    if kind == "Calc":
        replica = re.search(r"'replica (\w+): '", description)
        return f"replicate_{replica[1]}-too_large" if replica else f"{sink}-columns"
    return f"{sink}-{kind.lower()}"


def _unique(name: str, taken: Collection[str]) -> str:
    numbered = (f"{name}-{number}" for number in itertools.count(2))
    return next(unique for unique in itertools.chain([name], numbered) if unique not in taken)


# The view `decoded`, where several statements read it: each column of decode's answer on its own.
_DECODED = r"\bf0\.\w+ AS (files|index_batch|d_\w+)\b[^\[]*\]\)$"

# Edges of the graph, not operators: they have no uid.
_VIRTUAL = frozenset({"PartitionTransformation", "UnionTransformation"})

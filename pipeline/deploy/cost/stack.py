"""What the template makes, as far as it costs: its parameters, with its defaults, and its counts.

A test keeps all of this equal to `conf/aws/template.yaml`. The user gives parameters as to
`aws cloudformation deploy --parameter-overrides`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from connectors.errors import Mistakes, UserError
from connectors.text_files import shown
from pipeline.deploy.monitoring.alarms import ALARMS, Alarm
from pipeline.metrics import METRICS


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter: its default, and what is allowed: one of some values, a range or a pattern."""

    default: str
    allowed: tuple[str, ...] = ()
    low: int | None = None
    high: int | None = None
    pattern: str = ""


PARAMETERS: Final = {
    "Parallelism": Parameter("2", low=1, high=128),
    "ParallelismPerKPU": Parameter("1", low=1, high=4),
    "MetricsLevel": Parameter("APPLICATION", ("APPLICATION", "OPERATOR", "TASK")),
    "LogRetentionDays": Parameter(
        "30", ("1", "3", "5", "7", "14", "30", "60", "90", "120", "180", "365")
    ),
    "Source": Parameter("kinesis", ("kinesis", "msk", "both")),
    "SourceStreamMode": Parameter("ON_DEMAND", ("ON_DEMAND", "PROVISIONED", "EXISTING")),
    "SourceStreamShards": Parameter("2", low=1, high=500),
    "SourceRetentionHours": Parameter("168", low=24, high=8760),
    "OpenSearch": Parameter("create", ("create", "existing", "none")),
    "DomainInstanceType": Parameter("r6g.large.search", pattern=r"[a-z0-9]+\.[a-z0-9]+\.search"),
    "DomainNodes": Parameter("3", ("3", "6", "9", "12")),
    "DomainVolumeGiB": Parameter("100", low=10, high=3000),
    "ArchiveExpireDays": Parameter("400", low=30),
    "KmsKeyArn": Parameter(
        "", pattern="(arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+)?"
    ),
    "ToolsRepository": Parameter("", pattern="[a-z0-9._/-]{0,256}"),
    "MinimumRecordsPerSecond": Parameter("0", low=0),
}
"""Those parameters of the template that change its cost."""

LETTER_RETENTION_HOURS: Final = 720
OLD_VERSION_DAYS: Final = 30
"""Deleted and replaced objects of the bucket are kept so long, and billed."""
ENCRYPTED_STREAMS: Final = 2
LOG_METRICS: Final = 1
"""Metrics that the template derives from the application's log; the tools have more."""
TOOLS_LOG_METRICS: Final = 1

QUERIED: Final = frozenset(
    {
        *("back_pressure", "millis_behind", "records_lag"),
        *("kafka_cpu_percent", "kafka_disk_percent", "kafka_heap_percent", "kafka_lag_seconds"),
        *("kafka_offline", "kafka_under_min_isr", "kafka_under_replicated"),
    }
)
"""Signals of alarms that CloudWatch reads by Metrics Insights, where an alarm costs more."""


class Stack:
    """The template with some parameters, and defaults for the others."""

    def __init__(self, given: Mapping[str, str]) -> None:
        """Check the parameters.

        Raises:
            UserError: a name or a value that the template does not have; all mistakes at once.
        """
        mistakes = Mistakes()
        for name, value in given.items():
            with mistakes.collected():
                _check(name, value)
        mistakes.report()
        defaults = {name: parameter.default for name, parameter in PARAMETERS.items()}
        self._values = {**defaults, **given}

    def __getitem__(self, name: str) -> str:
        """Return a parameter's value."""
        return self._values[name]

    def number(self, name: str) -> int:
        """Return the value of a parameter that is a number."""
        return int(self._values[name])

    def has(self, condition: str) -> bool:
        """Return whether a condition of the template holds; the empty one always does."""
        return not condition or self.conditions[condition]

    @property
    def conditions(self) -> dict[str, bool]:
        """The template's conditions under which what costs is made."""
        reads_kinesis = self["Source"] != "msk"
        return {
            "ReadsKinesis": reads_kinesis,
            "ReadsKafka": self["Source"] != "kinesis",
            "MakesStream": reads_kinesis and self["SourceStreamMode"] != "EXISTING",
            "IsProvisioned": self["SourceStreamMode"] == "PROVISIONED",
            "MakesDomain": self["OpenSearch"] == "create",
            "HasIndex": self["OpenSearch"] != "none",
            "HasKey": self["KmsKeyArn"] != "",
            "HasTools": self["ToolsRepository"] != "",
            "HasTaskMetrics": self["MetricsLevel"] != "APPLICATION",
            "HasMinimum": self["MinimumRecordsPerSecond"] != "0",
        }

    def alarm_metrics(self) -> tuple[int, int]:
        """Return how many metrics its alarms read directly, and how many by a query at least."""
        read = [
            signal in QUERIED
            for alarm in ALARMS
            if self.has(alarm.when)
            for signal in _signals(alarm)
        ]
        return len(read) - sum(read), sum(read)

    def own_metrics(self, *, archive: bool) -> int:
        """Return how many counters the job has; dead letters go to a stream."""
        steps = {"decode", "lake", "claim_check"}
        steps |= {"index"} if self.has("HasIndex") else set()
        steps |= {"archive"} if archive else set()
        return sum(metric.step in steps for metric in METRICS)

    def log_metrics(self) -> int:
        """Return how many metrics are derived from logs."""
        return LOG_METRICS + (TOOLS_LOG_METRICS if self.has("HasTools") else 0)


def named(texts: Iterable[str], option: str) -> Iterator[tuple[str, str]]:
    """Yield the name and the value of each `NAME=VALUE`.

    Raises:
        UserError: one has no equals sign, or a name is given twice.
    """
    names = set()
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UserError(f"{option} is {shown(text)}; give NAME=VALUE")
        if name in names:
            raise UserError(f"{option} {shown(name)} is given twice; keep one")
        names.add(name)
        yield name, value


def _signals(alarm: Alarm) -> tuple[str, ...]:
    return (alarm.signal, alarm.per) if alarm.per else (alarm.signal,)


def _check(name: str, value: str) -> None:
    if name not in PARAMETERS:
        known = ", ".join(PARAMETERS)
        raise UserError(f"parameter {shown(name)} does not change the cost; these do: {known}")
    parameter = PARAMETERS[name]
    if parameter.allowed and value not in parameter.allowed:
        raise UserError(f"{name} is {shown(value)}; allowed are {', '.join(parameter.allowed)}")
    if parameter.pattern and not re.fullmatch(parameter.pattern, value):
        raise UserError(f"{name} is {shown(value)}; allowed is what matches {parameter.pattern}")
    if parameter.low is not None and not _is_between(value, parameter.low, parameter.high):
        highest = f" to {parameter.high:,}" if parameter.high else " or more"
        raise UserError(
            f"{name} is {shown(value)}; allowed is a whole number, {parameter.low:,}{highest}"
        )


def _is_between(value: str, low: int, high: int | None) -> bool:
    is_whole = re.fullmatch("[0-9]{1,9}", value) is not None
    return is_whole and low <= int(value) and (high is None or int(value) <= high)

"""One sample of everything that can be measured on the local servers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from connectors.errors import UserError
from connectors.s3.store import open_store
from pipeline.config.model import Config
from pipeline.deploy.monitoring.alarms import ALARMS, Alarm
from pipeline.deploy.monitoring.judge import Sample
from pipeline.deploy.monitoring.readings import collect
from pipeline.deploy.monitoring.signals import signal

# Flink logs this when it gives up on a Kafka transaction; the template's log filter has it too.
UNCOMMITTED = "Unable to commit transaction"


def measure(config: Config, environment: Mapping[str, str]) -> Sample:
    """Measure Flink's and the job's metrics, finished lake files, and uncommitted transactions.

    `environment` is that of the local servers.

    Raises:
        UserError: no Flink cluster is running.
    """
    if "PROMETHEUS_URLS" not in environment:
        raise UserError(
            "no local Flink cluster is running, so there are no metrics; start it with `make up`."
        )
    found = collect(environment["PROMETHEUS_URLS"].split(","))
    extra: dict[str, float] = {"uncommitted": _uncommitted(Path(environment["FLINK_LOG_DIR"]))}
    if config.lake:
        extra["lake_objects"] = len(open_store(config.lake.path, environment).listing())
    return replace(found, values={**found.values, **extra})


def measured_here(config: Config) -> list[Alarm]:
    """Return the alarms of this configuration whose signals the local servers measure."""
    conditions = {
        "": True,
        "ReadsKinesis": bool(config.source.kinesis_streams),
        "ReadsKafka": bool(config.source.kafka_topics),
        "HasIndex": config.index is not None,
        "HasTaskMetrics": True,
    }
    return [
        each
        for each in ALARMS
        if conditions.get(each.when, False) and all(map(_is_local, (each.signal, each.per)))
    ]


def _is_local(name: str) -> bool:
    ours = ("", "uncommitted", "lake_objects")
    return name in ours or signal(name).local is not None


def _uncommitted(logs: Path) -> int:
    return sum(
        path.read_text(encoding="utf-8", errors="replace").count(UNCOMMITTED)
        for path in sorted(logs.glob("taskmanager-*.log"))
    )

"""Flink's plan of the flow, made without a cluster and without contacting an outside system."""

from __future__ import annotations

from connectors.flink import table_environment as flink
from pipeline import job
from pipeline.config.flink_settings import flink_settings
from pipeline.config.model import Config
from pipeline.events.event_types import EventTypes
from pipeline.flow import Flow


def explain(config: Config, types: EventTypes) -> str:
    """Return the picture in `pipeline/job.py`, then Flink's optimized plan."""
    _, tables = flink.environment(flink_settings(config.job))
    text = str(job.build(Flow.of(tables), config, types).statements.explain())
    return f"{job.__doc__}\n{text[text.index('== Optimized Execution Plan') :]}"

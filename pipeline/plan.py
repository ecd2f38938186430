"""Flink's plan of the flow, made without a cluster and without contacting an outside system."""

from __future__ import annotations

from collections.abc import Mapping

from connectors.flink import table_environment as flink
from pipeline import job
from pipeline.collect.buckets import Target
from pipeline.config.flink_settings import flink_settings
from pipeline.config.model import Config
from pipeline.decode.native import described
from pipeline.decode.type_rule import TypeRule
from pipeline.events.event_types import EventTypes
from pipeline.flow import Flow


def explain(config: Config, types: EventTypes) -> str:
    """Return the picture in `pipeline/job.py`, Flink's optimized plan, then what follows it."""
    stream, tables = flink.environment(flink_settings(config.job))
    flow = job.build(Flow.of(stream, tables, config), config, types)
    text = str(flow.statements.explain())
    plan = text[text.index("== Optimized Execution Plan") :].rstrip()
    decode = described(types, TypeRule.of(config.source), config.decode.native)
    parts = [str(job.__doc__), plan, "", *_collected(config, flow.targets)]
    return "\n".join([*parts, "== Decoder ==", decode, ""])


def _collected(config: Config, targets: Mapping[str, Target]) -> list[str]:
    """Describe what takes the place of the table `collect`, which is none of Flink's SQL."""
    if not targets:
        return []
    lines = ["== In Place of the Sink collect ==", "collect: Keyed by the streams' keys"]
    for step, target in targets.items():
        size = target.bucket_bytes / 2**20
        lines.append(
            f"+- {step}: FileSink(path={getattr(config, step).path}) of {len(target.keys)} buckets,"
            f" each closed after {target.file_seconds:g} s or {size:g} MiB"
        )
    return [*lines, ""]

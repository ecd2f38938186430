"""Refuse a savepoint or checkpoint of version 0.1 or 0.2, before anything is submitted.

Those versions wrote files with the file sinks of Flink's tables, this one with sinks of its own.
Flink would refuse their state too, or drop it with --allow-dropped-state, and with it files that a
job which did not stop cleanly had still to commit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from connectors.errors import UserError
from connectors.flink import savepoint
from connectors.s3.store import open_store
from pipeline.config.model import Config
from pipeline.events.event_types import EventTypes

READABLE: Final = ("s3://", "s3a://", "file://")
"""Where we can read snapshots; Flink may have others."""

_RELEASED: Final = Path(__file__).parents[1] / "schemas" / "released"


def refuse(
    snapshot: str, config: Config, types: EventTypes, environment: Mapping[str, str]
) -> None:
    """Raise UserError if an earlier version took the snapshot, and say what to do instead."""
    uri = snapshot.rstrip("/").removesuffix(f"/{savepoint.METADATA}")
    if not uri.startswith(READABLE):
        return
    try:
        metadata = open_store(uri, environment).read(savepoint.METADATA)
    except FileNotFoundError:
        return  # Flink says so, and where it looked.
    for step in _steps(types):
        # The operator that follows each file sink of Flink's tables, and no sink of ours.
        if savepoint.holds(metadata, f"{step}-end"):
            raise UserError(_refusal(snapshot, step, config))


def _steps(types: EventTypes) -> Iterator[str]:
    yield from ("archive", "dead_letters")
    released = {each.stem for each in _RELEASED.glob("*.avsc")}
    yield from (f"lake_{name}" for name in sorted(released | {each.name for each in types}))


def _refusal(snapshot: str, step: str, config: Config) -> str:
    source = config.source
    committed = (
        "set source.kafka_start to committed and start"
        if source.kafka_start != "committed"
        else "start"
    )
    return (
        f"{snapshot} is of version 0.1 or 0.2 (it has the state of {step}), and this version cannot"
        " go on from it, with --allow-dropped-state neither. Stop the old version by its own"
        f" `stop`, which commits all files; then {committed} this one with --fresh: it reads on"
        f" from the offsets that the group {source.kafka_group_id} committed. See docs/upgrade.md,"
        " also for Kinesis, which has no such offsets."
    )

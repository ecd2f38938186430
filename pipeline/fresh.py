"""What a job that begins anew, without state, doubles, skips and loses.

Rows that are collected for files wait in Flink's state, so also in its snapshots. The offsets of a
consumer group do not wait for them. So a job that begins anew after these offsets neither has the
rows nor reads them again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from connectors.errors import UserError
from connectors.flink import savepoint
from pipeline.config.model import Source
from pipeline.earlier import metadata_of

_REPEATS: Final = {
    "earliest": "all records that the source still has are written once more",
    "trim_horizon": "all records that the source still has are written once more",
    "committed": "records after the last committed offset may be written once more",
    "latest": "records that arrived since the last run are skipped",
    "at_timestamp": "records since source.kinesis_start_timestamp may be written once more, and"
    " earlier ones are skipped",
}
_COLLECT: Final = "collect"
"""The uid of the operator that collects; versions before 0.3 have none, nor jobs without files."""


def may_wait(snapshot: str, environment: Mapping[str, str]) -> bool:
    """Return whether collected rows may wait in a snapshot; in one that we cannot read they may."""
    try:
        metadata = metadata_of(snapshot, environment)
    except (UserError, OSError):
        return True
    if metadata is None:
        return True
    return savepoint.holds(metadata, _COLLECT) and not savepoint.is_drained(metadata)


def skipping(source: Source) -> list[str]:
    """Return the settings by which a fresh start does not read again all that it could."""
    return [
        f"source.{key} {start}"
        for key, start in _starts(source).items()
        if start not in ("earliest", "trim_horizon")
    ]


def repeats(source: Source) -> list[str]:
    """Say of each kind of source what a fresh start reads again."""
    told = {key: _REPEATS[start] for key, start in _starts(source).items()}
    if len(set(told.values())) == 1:
        return [*told.values()][:1]
    return [f"with {key} {_starts(source)[key]}, {words}" for key, words in told.items()]


def _starts(source: Source) -> dict[str, str]:
    starts: dict[str, str] = {}
    if source.kafka_topics:
        starts["kafka_start"] = source.kafka_start
    if source.kinesis_streams:
        starts["kinesis_start"] = source.kinesis_start
    return starts


def note(snapshot: str, environment: Mapping[str, str]) -> str:
    """Tell whoever ended a job that rows wait in its snapshot; empty if none do."""
    if not may_wait(snapshot, environment):
        return ""
    return (
        "rows that were still collected for files may wait in this snapshot: `streaming-etl run"
        " --resume` writes them to the lake, the archive and the dead letters, and a job that"
        " begins anew does not."
    )

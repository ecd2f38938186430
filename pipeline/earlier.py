"""Refuse a savepoint or checkpoint of version 0.1 or 0.2 that this version would lose files of.

Those versions wrote files with the file sinks of Flink's tables, this one with sinks of its own. So
the state of the old ones has no place here. Where the old job stopped with a savepoint, that state
is of no use: all files are committed. Sources and replicas have their places, and go on exactly.
Of a job that did not stop so, files may wait there to be committed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from connectors.errors import UserError
from connectors.flink import savepoint
from connectors.s3.store import open_store
from pipeline.events.event_types import EventTypes

READABLE: Final = ("s3://", "s3a://", "file://")
"""Where we can read snapshots; Flink may have others."""

_ENDS: Final = "-end"
"""Of the operator that follows each file sink of Flink's tables, and none of ours."""
_RELEASED: Final = Path(__file__).parents[1] / "schemas" / "released"


def metadata_of(snapshot: str, environment: Mapping[str, str]) -> bytes | None:
    """Return what describes a snapshot; None if it is where we can't read.

    Raises:
        FileNotFoundError: there is no snapshot.
        UserError, OSError: it can't be read.
    """
    uri = snapshot.rstrip("/").removesuffix(f"/{savepoint.METADATA}")
    if not uri.startswith(READABLE):
        return None
    return open_store(uri, environment).read(savepoint.METADATA)


def refuse(
    snapshot: str,
    types: EventTypes,
    environment: Mapping[str, str],
    *,
    allow_dropped_state: bool,
) -> None:
    """Raise UserError if an earlier version took the snapshot, and say what to do instead.

    With `allow_dropped_state`, only if files may be lost.
    """
    try:
        metadata = metadata_of(snapshot, environment)
    except FileNotFoundError:
        return  # Flink says so, and where it looked.
    if metadata is None:
        return
    sinks = [step for step in _steps(types) if savepoint.holds(metadata, f"{step}{_ENDS}")]
    if not sinks:
        return
    of = f"{snapshot} is of version 0.1 or 0.2: it has the state of {', '.join(sinks)}, which"
    if not savepoint.has_stopped(metadata):
        raise UserError(
            f"{of} may hold files that are not committed, since the job did not stop with it. Start"
            " that version from it, stop it by its `streaming-etl stop`, and give this version the"
            " savepoint of that. See docs/upgrade.md."
        )
    if not allow_dropped_state:
        raise UserError(
            f"{of} this version has no use for: all its files are committed. Give"
            " --allow-dropped-state, too; sources and replicas go on from where that job stopped,"
            " and nothing is lost or doubled. See docs/upgrade.md."
        )


def _steps(types: EventTypes) -> Iterator[str]:
    yield from ("archive", "dead_letters")
    released = {each.stem for each in _RELEASED.glob("*.avsc")}
    yield from (f"lake_{name}" for name in sorted(released | {each.name for each in types}))

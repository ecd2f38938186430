"""Send archived records to the topic of a backfill."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from connectors.positions import Position
from connectors.producer import Producer
from pipeline.ops.backfill.derive import Backfill
from pipeline.ops.dead_letters.letter import digest_of, position_text
from pipeline.ops.dead_letters.reader import read_letters
from pipeline.ops.reconcile.options import Span
from pipeline.ops.replay.history import History
from pipeline.ops.replay.selection import Selection
from pipeline.ops.systems import Systems


@dataclass(frozen=True, slots=True)
class Fed:
    """How many archived records were sent, and how many left out: dead letters of step decode.

    The latter are in the live lake under the position of their redriven copy, or not at all.
    """

    records: int
    left_out: int


class LeftOut:
    """Decides which archived records to leave out: the dead letters of step decode.

    It is called for every record, so `ends` has the last position read of each topic and partition,
    or stream and shard.
    """

    def __init__(self, systems: Systems) -> None:
        letters = read_letters(systems) if systems.config.dead_letters else ()
        self._rejected = {digest_of(each.where) for each in letters if each.step == "decode"}
        self.ends: dict[tuple[str, str], int] = {}

    def __call__(self, position: Position) -> bool:
        """Return whether to leave out the record at that position."""
        place, part, number = position[:3] if position.topic else position[3:]
        key, last = (str(place), str(part)), int(number or 0)
        if last >= self.ends.get(key, 0):
            self.ends[key] = last
        return bool(self._rejected) and digest_of(position_text(position)) in self._rejected

    def spans(self) -> tuple[Span, ...]:
        """Return the positions that were read, for a reconciliation."""
        return tuple(Span(place, part, None, last) for (place, part), last in self.ends.items())


def archived(systems: Systems, backfill: Backfill, leave_out: LeftOut) -> History:
    """Return the archived records of a backfill, in the order of their arrival."""
    archive = systems.config.archive
    assert archive, "derive.refuse asks for one"
    selection = Selection(archive=True, start_ms=backfill.start_ms, end_ms=backfill.end_ms)
    return History(archive.path, selection, systems.environment, leave_out=leave_out)


def feed(history: History, target: Producer | None, progress: Callable[[int], None]) -> Fed:
    """Send all records and wait for their acknowledgements; without a target, only count."""
    done = 0
    for block in history.blocks():
        if target:
            target.send_block(block)
        done += len(block)
        progress(done)
    if target:
        target.close()
    return Fed(done, history.counts.left_out)

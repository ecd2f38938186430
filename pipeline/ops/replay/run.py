"""The replay itself: hands over what is due, and knows how far it has come."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np

from connectors.block import Block
from connectors.producer import Producer
from pipeline.ops.replay.history import Counts, Selection
from pipeline.ops.replay.pace import Cap, Deviations, Pace, Seconds, Times
from pipeline.ops.replay.report import Show, Standing, Summary
from pipeline.ops.replay.rounds import Ahead, Rounds
from pipeline.ops.replay.state import State
from pipeline.ops.replay.watermarks import Watermarks

_SLICE: Final = 2_000
_TICK_SECONDS: Final = 0.002
_LONGEST_SECONDS: Final = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How fast to send; `speedup` None is unpaced, `rate` None uncapped."""

    speedup: float | None = 3600.0
    rate: float | None = None
    max_wait_seconds: float = 60.0
    watermarks: bool = True
    statistics_seconds: float = 20.0

    def pace(self) -> Pace:
        """A pace that starts with the first event it is given."""
        return Pace(self.speedup, self.max_wait_seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What is replayed: the events in their rounds, what was met on the way, what was wanted."""

    rounds: Rounds
    counts: Counts
    selection: Selection


class Stop:
    """Asked for by a signal; noticed within some ten milliseconds."""

    def __init__(self) -> None:
        self.wanted = False

    def __call__(self) -> None:
        self.wanted = True


class Replay:
    """One replay. Guarantee: what `save` was told is acknowledged by every target, without a gap.

    `save` gets the state after each flush, at the end and when it was stopped. Raises UserError
    when a target refuses an event or stays away; the state saved last then still holds.
    """

    def __init__(
        self,
        source: Source,
        targets: Sequence[Producer],
        plan: Plan,
        state: State,
        *,
        save: Callable[[State], None],
        show: Show,
        stop: Stop,
    ) -> None:
        self._source, self._targets, self._plan, self._state = source, targets, plan, state
        self._save, self._show, self._stop = save, show, stop
        self._pace, self._cap, self._deviations = plan.pace(), Cap(plan.rate), Deviations()
        self._watermarks = Watermarks(targets if plan.watermarks else ())
        self._resumed_at = state.total
        self._began = self._start = self._told = time.monotonic()
        self._told_events = self._events = self._bytes = 0
        self._first: int | None = None
        self._reached: int | None = None
        self._lag = self._largest_lag = 0.0

    def run(self) -> Summary:
        """Sends everything, or what there was time for until it was stopped."""
        self._save(self._state)  # What an earlier run left there is not this one's.
        pieces = self._source.rounds.pieces(self._state.round, self._state.sent)
        with closing(Ahead(pieces)) as ahead:
            while not self._stop.wanted:
                if not ahead.is_ready(_LONGEST_SECONDS):
                    self._tend(time.monotonic())
                    continue
                piece = ahead.take()
                if piece is None:
                    break
                self._begin_round(piece.round)
                self._send(piece.block)
        return self._finish()

    def _begin_round(self, number: int) -> None:
        if number != self._state.round:
            self._state = msgspec.structs.replace(self._state, round=number, sent=0)

    def _send(self, block: Block) -> None:
        if not len(block):
            return
        times = self._in_order(block.times)
        if self._first is None:
            # Not before: what it took to find the first event is no lag.
            self._first, self._start = int(times[0]), time.monotonic()
        due = self._start + self._pace.due(times)
        place = 0
        while place < len(block) and not self._stop.wanted:
            now = time.monotonic()
            end = self._end(due, place, now)
            if end > place:
                self._hand_over(block.part(place, end), times[end - 1], now - due[place:end])
                place = end
            self._tend(now)
            if place < len(block):
                self._wait(due[place])

    def _in_order(self, times: Times) -> Times:
        """The latest time so far, at each event: what is out of order goes with it."""
        latest = np.maximum.accumulate(times)
        return latest if self._reached is None else np.maximum(latest, self._reached)

    def _end(self, due: Seconds, place: int, now: float) -> int:
        """Up to which event may be handed over now."""
        end = min(int(np.searchsorted(due, now, side="right")), place + _SLICE)
        allowed = self._cap.allowed(now)
        return end if allowed is None else min(end, place + allowed)

    def _hand_over(self, block: Block, reached: int, late: Seconds) -> None:
        for target in self._targets:
            target.send_block(block)
        self._cap.took(len(block))
        if self._plan.speedup is not None:
            self._deviations.add(late)
            self._lag = float(late[0])
            self._largest_lag = max(self._largest_lag, self._lag)
        self._reached = int(reached)
        self._events += len(block)
        self._bytes += sum(len(raw) for raw in block.raws if raw)
        self._state = msgspec.structs.replace(
            self._state,
            sent=self._state.sent + len(block),
            total=self._state.total + len(block),
        )

    def _wait(self, due: float) -> None:
        seconds = max(due - time.monotonic(), self._cap.wait())
        if seconds > 0:
            time.sleep(min(max(seconds, _TICK_SECONDS), _LONGEST_SECONDS))

    def _tend(self, now: float) -> None:
        for target in self._targets:
            target.poll()
        self._watermarks.tend(now, self._reached)
        if now - self._told >= self._plan.statistics_seconds:
            self._show.tell(self._standing(now))
            self._told, self._told_events = now, self._events
            self._checkpoint()
        elif self._show.wants(now):
            self._show.draw(self._standing(now), now, now - self._start)

    def _checkpoint(self, *, finished: bool = False) -> None:
        for target in self._targets:
            target.flush()
        self._state = msgspec.structs.replace(
            self._state, spans=self._source.rounds.spans, finished=finished
        )
        self._save(self._state)

    def _finish(self) -> Summary:
        if not self._stop.wanted and self._reached is not None:
            self._watermarks.send(self._reached)
        self._checkpoint(finished=not self._stop.wanted)
        return self._summary(time.monotonic() - self._start)

    def _standing(self, now: float) -> Standing:
        passed = now - self._told
        return Standing(
            events=self._events,
            reached_ms=self._reached,
            events_per_second=(self._events - self._told_events) / passed if passed else 0.0,
            lag_seconds=self._lag,
            part=self._part(),
        )

    def _part(self) -> float | None:
        """How much of it is done, where the number of events or the last instant is known."""
        selection = self._source.selection
        rounds = self._state.rounds
        if not rounds or self._reached is None or self._first is None:
            return None
        if selection.limit:
            return min(1.0, self._state.total / (selection.limit * rounds))
        if selection.end_ms is None or selection.end_ms <= self._first or rounds > 1:
            return None
        return (self._reached - self._first) / (selection.end_ms - self._first)

    def _summary(self, seconds: float) -> Summary:
        return Summary(
            events=self._events,
            bytes=self._bytes,
            acknowledged=min(target.acknowledged_records for target in self._targets),
            resumed_at=self._resumed_at,
            rounds=self._state.round + 1,
            watermarks=self._watermarks.sent,
            retries=sum(target.retries for target in self._targets),
            throttled=sum(target.throttled for target in self._targets),
            misplaced=sum(target.misplaced_records for target in self._targets),
            seconds=seconds,
            first_ms=self._first,
            last_ms=self._reached,
            deviation=self._deviations.spread(),
            largest_lag_seconds=self._largest_lag,
            cut_waits=self._pace.cut_waits,
            cut_seconds=self._pace.cut_seconds,
            stopped=self._stop.wanted,
            targets=tuple(target.name for target in self._targets),
            counts=self._source.counts,
        )

"""The replay itself: hand over what is due, and save how far it has come; or only count it."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Final

import msgspec
import numpy as np

from connectors.block import Block
from connectors.errors import UserError
from connectors.local_files import write_whole
from connectors.producer import Producer
from pipeline.decode import timestamps
from pipeline.ops.replay.order import LOWEST, Times
from pipeline.ops.replay.pace import Cap, Deviations, Pace, Seconds
from pipeline.ops.replay.report import DryRun, Show, Standing, Summary
from pipeline.ops.replay.rounds import Ahead, Rounds, Spans

_SLICE: Final = 2_000
_TICK_SECONDS: Final = 0.002
_LONGEST_SECONDS: Final = 0.05
_WATERMARK_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How fast to send; `speedup` None is unpaced, `rate` None uncapped."""

    speedup: float | None = 3600.0
    rate: float | None = None
    max_wait_seconds: float = 60.0
    watermarks: bool = True
    statistics_seconds: float = 20.0

    def pace(self) -> Pace:
        """Return a pace that starts with the first event."""
        return Pace(self.speedup, self.max_wait_seconds)


class State(msgspec.Struct, frozen=True, kw_only=True):
    """`sent` events of round number `round` are acknowledged, and all of those before them.

    The first five fields identify the replay: only the same one may continue from here.
    """

    input: str
    fingerprint: str
    selection: str
    targets: tuple[str, ...]
    rounds: int = 1
    round: int = 0
    sent: int = 0
    total: int = 0
    spans: Spans | None = None
    finished: bool = False

    def path(self, folder: Path) -> Path:
        """Derive a file's name from what identifies the replay."""
        identity = [self.input, self.selection, *self.targets, str(self.rounds)]
        name = hashlib.sha256(msgspec.json.encode(identity)).hexdigest()[:16]
        return folder / f"{name}.json"

    def save(self, path: Path) -> None:
        """Replace the file atomically."""
        write_whole(path, msgspec.json.format(msgspec.json.encode(self)))

    def resumed(self, path: Path) -> State:
        """Read the state that `--resume` continues from; self is that of the beginning.

        Raises:
            UserError: there is none, or it is of another input, selection or target.
        """
        try:
            saved = msgspec.json.decode(path.read_bytes(), type=State)
        except FileNotFoundError:
            raise UserError(
                f"--resume: there is no state of such a replay at {path}. Give the same input,"
                " options and targets as before, or --state FILE; or leave --resume out to begin"
                " anew."
            ) from None
        except msgspec.DecodeError as error:
            raise UserError(f"--resume: {path} is not a state of ours ({error}).") from None
        for what, then, now in (
            ("the input", saved.input, self.input),
            ("the selection", saved.selection, self.selection),
            ("the target", ", ".join(saved.targets), ", ".join(self.targets)),
            ("--loop", saved.rounds, self.rounds),
            ("the data set's fingerprint", saved.fingerprint, self.fingerprint),
        ):
            if then != now:
                raise UserError(
                    f"--resume: {path} is of another replay: {what} was {then} and is now {now}."
                    " Give what was given then, or leave --resume out to begin anew."
                )
        return saved


class Replay:
    """One replay. Guarantee: a saved state is acknowledged by every target, without a gap.

    `save` gets the state after each flush, at the end and when it was stopped, which `stop` asks
    for. Raises UserError when a target refuses an event or stays unreachable; the last saved state
    then still holds.
    """

    def __init__(
        self,
        rounds: Rounds,
        targets: Sequence[Producer],
        plan: Plan,
        state: State,
        *,
        save: Callable[[State], None],
        show: Show,
        stop: Event,
    ) -> None:
        self._rounds, self._targets, self._plan, self._state = rounds, targets, plan, state
        self._save, self._show, self._stop = save, show, stop
        self._pace, self._cap, self._deviations = plan.pace(), Cap(plan.rate), Deviations()
        self._watermarks = Watermarks(targets if plan.watermarks else ())
        self._resumed_at = state.total
        self._start = self._reported = time.monotonic()
        self._reported_events = self._events = self._bytes = 0
        self._first: int | None = None
        self._reached = LOWEST
        self._lag = self._largest_lag = 0.0

    def run(self) -> Summary:
        """Send everything, or until it is stopped."""
        self._save(self._state)  # So that no state of an earlier run is mistaken for this one's.
        pieces = self._rounds.pieces(self._state.round, self._state.sent)
        with closing(Ahead(pieces)) as ahead:
            while not self._stop.is_set():
                if not ahead.is_ready(_LONGEST_SECONDS):
                    self._tend(time.monotonic())
                    continue
                piece = ahead.take()
                if piece is None:
                    break
                if piece.round != self._state.round:
                    self._state = msgspec.structs.replace(self._state, round=piece.round, sent=0)
                if len(piece.block):
                    self._send(piece.block)
        if not self._stop.is_set() and self._reached != LOWEST:
            self._watermarks.send(self._reached)
        self._checkpoint(finished=not self._stop.is_set())
        return self._summary(time.monotonic() - self._start)

    def _send(self, block: Block) -> None:
        times = _never_falling(block.times, self._reached)
        if self._first is None:
            # The clock starts here: what it took to find the first event is no lag.
            self._first, self._start = int(times[0]), time.monotonic()
        due = self._start + self._pace.due(times)
        sent = 0
        while sent < len(block) and not self._stop.is_set():
            now = time.monotonic()
            end = self._end(due, sent, now)
            if end > sent:
                self._hand_over(block.part(sent, end), times[end - 1], now - due[sent:end])
                sent = end
            self._tend(now)
            if sent < len(block):
                self._wait(due[sent])

    def _end(self, due: Seconds, start: int, now: float) -> int:
        """Return up to which event may be handed over now."""
        end = min(int(np.searchsorted(due, now, side="right")), start + _SLICE)
        allowed = self._cap.allowed(now)
        return end if allowed is None else min(end, start + allowed)

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
        if self._reached != LOWEST:
            self._watermarks.tend(now, self._reached)
        if now - self._reported >= self._plan.statistics_seconds:
            self._show.line(self._standing(now))
            self._reported, self._reported_events = now, self._events
            self._checkpoint()
        elif self._show.wants(now):
            self._show.draw(self._standing(now), now, now - self._start)

    def _checkpoint(self, *, finished: bool = False) -> None:
        for target in self._targets:
            target.flush()
        self._state = msgspec.structs.replace(
            self._state, spans=self._rounds.spans, finished=finished
        )
        self._save(self._state)

    def _standing(self, now: float) -> Standing:
        passed = now - self._reported
        return Standing(
            events=self._events,
            reached_ms=self._last,
            events_per_second=(self._events - self._reported_events) / passed if passed else 0.0,
            lag_seconds=self._lag,
            part=self._part(),
        )

    @property
    def _last(self) -> int | None:
        """The latest time sent."""
        return None if self._reached == LOWEST else self._reached

    def _part(self) -> float | None:
        """Return the share that is done, if the number of events or the last instant is known."""
        selection, rounds = self._rounds.history.selection, self._state.rounds
        if not rounds or self._last is None or self._first is None:
            return None
        if selection.limit:
            return min(1.0, self._state.total / (selection.limit * rounds))
        if selection.end_ms is None or selection.end_ms <= self._first or rounds > 1:
            return None
        return (self._last - self._first) / (selection.end_ms - self._first)

    def _summary(self, seconds: float) -> Summary:
        targets, pace = self._targets, self._pace
        return Summary(
            events=self._events,
            bytes=self._bytes,
            acknowledged=min(target.acknowledged_records for target in targets),
            resumed_at=self._resumed_at,
            rounds=self._state.round + 1,
            watermarks=self._watermarks.sent,
            retries=sum(target.retries for target in targets),
            throttled=sum(target.throttled for target in targets),
            misplaced=sum(target.misplaced_records for target in targets),
            seconds=seconds,
            first_ms=self._first,
            last_ms=self._last,
            deviation_ms=self._deviations.spread(),
            largest_lag_seconds=self._largest_lag,
            cut_waits=pace.cut_waits,
            cut_seconds=pace.cut_seconds,
            stopped=self._stop.is_set(),
            targets=tuple(target.name for target in targets),
            counts=self._rounds.history.counts,
        )


class Watermarks:
    """Send a control record to every partition and shard each second of wall time.

    It promises that nothing behind it in its partition or shard happened before its instant: that
    of the latest event handed over before. An event out of order in the input breaks the promise;
    those are counted when the input is read.
    """

    def __init__(self, targets: Sequence[Producer]) -> None:
        self.sent = 0
        self._targets = targets
        self._next: float | None = None

    def tend(self, now: float, reached_ms: int) -> None:
        """Send one if a second has passed since the last; call it often."""
        if self._next is None:
            self._next = now + _WATERMARK_SECONDS
        elif now >= self._next:
            self.send(reached_ms)
            self._next = max(self._next + _WATERMARK_SECONDS, now)

    def send(self, reached_ms: int) -> None:
        """Send one now."""
        raw = f'{{"watermark":"{timestamps.text(reached_ms)}","type":"watermark"}}'.encode()
        self.sent += sum(target.send_everywhere(raw) for target in self._targets)


def dry_run(rounds: Rounds, plan: Plan) -> DryRun:
    """Read everything, of a replay for ever the first round; count it and send nothing.

    Raises:
        UserError: as reading does.
    """
    pace = plan.pace()
    events = size = 0
    first, reached = None, LOWEST
    for _, block in rounds.finite().pieces():
        if len(block):
            times = _never_falling(block.times, reached)
            pace.due(times)
            first = int(times[0]) if first is None else first
            reached = int(times[-1])
            events += len(block)
            size += sum(len(raw) for raw in block.raws if raw)
    capped = events / plan.rate if plan.rate else None
    return DryRun(
        events=events,
        bytes=size,
        first_ms=first,
        last_ms=None if first is None else reached,
        seconds=capped if plan.speedup is None else max(pace.last_due, capped or 0.0),
        cut_waits=pace.cut_waits,
        cut_seconds=pace.cut_seconds,
        counts=rounds.history.counts,
    )


def _never_falling(times: Times, reached: int) -> Times:
    """Return the latest time so far, at each event: one out of order is sent with it."""
    return np.maximum(np.maximum.accumulate(times), reached)

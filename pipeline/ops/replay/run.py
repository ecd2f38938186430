"""Run a replay: hand over due events and save the progress; or only count them."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from math import inf
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
from pipeline.ops.replay.order import Times, never_falling
from pipeline.ops.replay.pace import Cap, Deviations, Pace, Seconds
from pipeline.ops.replay.report import DryRun, Show, Standing, Summary
from pipeline.ops.replay.rounds import Ahead, Rounds
from pipeline.ops.replay.spans import Spans

_SLICE: Final = 2_000
_TICK_SECONDS: Final = 0.002
_LONGEST_SECONDS: Final = 0.05
_WATERMARK_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How fast to send; without `speedup` unpaced, without `rate` uncapped."""

    speedup: float | None = 3600.0
    rate: float | None = None
    max_wait_seconds: float = 60.0
    watermarks: bool = True
    statistics_seconds: float = 20.0


class State(msgspec.Struct, frozen=True, kw_only=True):
    """`sent` events of round `round` are acknowledged, and all events of earlier rounds.

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
        """Derive the file's path from what identifies the replay."""
        identity = [self.input, self.selection, *self.targets, str(self.rounds)]
        name = hashlib.sha256(msgspec.json.encode(identity)).hexdigest()[:16]
        return folder / f"{name}.json"

    def resumed(self, path: Path) -> State:
        """Read the state that `--resume` continues from; `self` is the initial state.

        Raises:
            UserError: there is none, or it belongs to another input, selection or target.
        """
        try:
            saved = msgspec.json.decode(path.read_bytes(), type=State)
        except FileNotFoundError:
            raise UserError(
                f"--resume: there is no state of such a replay at {path}. Give the same input,"
                " options and targets as before, or --state FILE, or begin anew without --resume."
            ) from None
        except OSError as error:
            raise UserError(f"--resume: {path} cannot be read ({error.strerror}).") from error
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
                    " Give the same again, or begin anew without --resume."
                )
        return saved


def save(path: Path, state: State) -> None:
    """Replace the file atomically.

    Raises:
        UserError: it cannot be written.
    """
    try:
        write_whole(path, msgspec.json.format(msgspec.json.encode(state)))
    except OSError as error:
        raise UserError(f"the state {path} cannot be written ({error.strerror}).") from error


class Replay:
    """One replay. Guarantee: a saved state is acknowledged by every target, without a gap.

    `save` is called with the state after each flush and at the end; setting `stop` ends the replay
    cleanly. Raises UserError when a target rejects an event or stays unreachable; the last saved
    state is valid then.
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
        self._pace = Pace(plan.speedup, plan.max_wait_seconds)
        self._cap, self._deviations = Cap(plan.rate), Deviations()
        self._summary = Summary(
            counts=rounds.history.counts,
            targets=tuple(target.name for target in targets),
            resumed_at=state.total,
        )
        self._start = self._reported = time.monotonic()
        self._next_watermark = inf
        self._reported_events = 0
        self._lag = 0.0

    def run(self) -> Summary:
        """Send everything, or until it is stopped."""
        self._save(self._state)  # Else an earlier run's state could be taken for this one.
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
                    self._begin_round(piece.round)
                if len(piece.block):
                    self._send(piece.block)
        if not self._stop.is_set():
            self._send_watermark()
        self._checkpoint(finished=not self._stop.is_set())
        self._complete(self._summary)
        return self._summary

    def _begin_round(self, number: int) -> None:
        if number == 1:
            for warning in self._summary.counts.warnings:
                self._show.warn(warning)
        self._pace.rewind(self._rounds.end_of(number - 1))
        self._state = msgspec.structs.replace(self._state, round=number, sent=0)

    def _send(self, block: Block) -> None:
        # An event out of order is sent with the one before it.
        times = never_falling(block.times, self._pace.latest)
        if not self._summary.events:
            # The clock starts here: the time to find the first event is no lag.
            self._start = time.monotonic()
            self._next_watermark = self._start + _WATERMARK_SECONDS
        due = self._start + self._pace.due(times)
        sent = 0
        while sent < len(block) and not self._stop.is_set():
            now = time.monotonic()
            end = self._end(due, sent, now)
            if end > sent:
                self._hand_over(block.part(sent, end), times[sent:end], now - due[sent:end])
                sent = end
            self._tend(now)
            if sent < len(block):
                self._wait(due[sent])

    def _end(self, due: Seconds, start: int, now: float) -> int:
        """Return the index up to which events may be handed over now."""
        end = min(int(np.searchsorted(due, now, side="right")), start + _SLICE)
        allowed = self._cap.allowed(now)
        return end if allowed is None else min(end, start + allowed)

    def _hand_over(self, block: Block, times: Times, late: Seconds) -> None:
        for target in self._targets:
            target.send_block(block)
        self._cap.took(len(block))
        self._summary.add(block, times)
        if self._plan.speedup is not None:
            self._deviations.add(late)
            self._lag = float(late[0])
            self._summary.largest_lag_seconds = max(self._summary.largest_lag_seconds, self._lag)
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
        if now >= self._next_watermark:
            self._send_watermark()
            self._next_watermark = max(self._next_watermark + _WATERMARK_SECONDS, now)
        if now - self._reported >= self._plan.statistics_seconds:
            self._show.line(self._standing(now))
            self._reported, self._reported_events = now, self._summary.events
            self._checkpoint()
        else:
            self._show.draw(self._standing(now), now - self._start)

    def _send_watermark(self) -> None:
        """Send a watermark to every partition and shard: no later record is of an earlier time.

        Its time is that of the latest event handed over. Events out of order in the input violate
        it; they are counted when the input is read.
        """
        if self._plan.watermarks and self._summary.last_ms is not None:
            instant = timestamps.text(self._summary.last_ms)
            raw = f'{{"watermark":"{instant}","type":"watermark"}}'.encode()
            for target in self._targets:
                self._summary.watermarks += target.send_everywhere(raw)

    def _checkpoint(self, *, finished: bool = False) -> None:
        for target in self._targets:
            target.flush()
        self._state = msgspec.structs.replace(
            self._state, spans=self._rounds.spans, finished=finished
        )
        self._save(self._state)

    def _standing(self, now: float) -> Standing:
        passed, events = now - self._reported, self._summary.events
        return Standing(
            events=events,
            reached_ms=self._summary.last_ms,
            events_per_second=(events - self._reported_events) / passed if passed else 0.0,
            lag_seconds=self._lag,
            part=self._part(),
        )

    def _part(self) -> float | None:
        """Return the share that is done; None unless the number of events or the end is known."""
        selection, rounds = self._rounds.history.selection, self._state.rounds
        first, last = self._summary.first_ms, self._summary.last_ms
        if not rounds or first is None or last is None:
            return None
        if selection.limit:
            return min(1.0, self._state.total / (selection.limit * rounds))
        if selection.end_ms is None or selection.end_ms <= first or rounds > 1:
            return None
        return (last - first) / (selection.end_ms - first)

    def _complete(self, summary: Summary) -> None:
        targets = self._targets
        summary.seconds = time.monotonic() - self._start
        summary.acknowledged = min(target.acknowledged_records for target in targets)
        summary.retries = sum(target.retries for target in targets)
        summary.throttled = sum(target.throttled for target in targets)
        summary.misplaced = sum(target.misplaced_records for target in targets)
        summary.rounds = self._state.round + 1
        summary.deviation_ms = self._deviations.spread()
        summary.cut_waits, summary.cut_seconds = self._pace.cut_waits, self._pace.cut_seconds
        summary.stopped = self._stop.is_set()


def dry_run(rounds: Rounds, plan: Plan) -> DryRun:
    """Read and count everything (of an endless replay, the first round); send nothing.

    Raises:
        UserError: the input cannot be read.
    """
    report, pace = DryRun(counts=rounds.history.counts), Pace(plan.speedup, plan.max_wait_seconds)
    current = 0
    for number, block in rounds.pieces():
        if number and not rounds.rounds:
            break
        if number != current:
            pace.rewind(rounds.end_of(current))
            current = number
        if len(block):
            times = never_falling(block.times, pace.latest)
            pace.due(times)
            report.add(block, times)
    capped = report.events / plan.rate if plan.rate else None
    report.seconds = capped if plan.speedup is None else max(pace.last_due, capped or 0.0)
    report.cut_waits, report.cut_seconds = pace.cut_waits, pace.cut_seconds
    return report

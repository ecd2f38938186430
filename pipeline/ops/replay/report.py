"""What a replay says while it runs, and at its end."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Any, Final

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from pipeline.decode import timestamps
from pipeline.ops.replay.history import Counts
from pipeline.ops.replay.pace import Spread

_BAR_EVERY_SECONDS: Final = 0.1
_SHOWN: Final = 5
"""How many bad lines and bad files are named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a replay is just now; `part` is how much of it is done, if that is known."""

    events: int
    reached_ms: int | None
    events_per_second: float
    lag_seconds: float
    part: float | None

    def line(self) -> str:
        """One plain line."""
        if self.reached_ms is None:
            return "no event so far"
        return (
            f"all events until {timestamps.text(self.reached_ms)} are sent: {self.events:,},"
            f" {self.events_per_second:,.0f} a second, {self.lag_seconds:.1f} s behind schedule"
        )

    def brief(self) -> str:
        """The same for the bar of a narrow terminal."""
        if self.reached_ms is None:
            return "no event so far"
        reached = timestamps.text(self.reached_ms)[:19]
        return (
            f"{reached}Z {self.events:,} {self.events_per_second:,.0f}/s"
            f" {self.lag_seconds:.1f} s late"
        )


class Show:
    """A bar on a terminal, elsewhere one plain line every so often."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._drawn = 0.0
        self._bar = Progress(
            BarColumn(bar_width=8),
            TextColumn("{task.description}"),
            TextColumn("{task.fields[end]}"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("waiting for the first event", total=None, end="")

    def __enter__(self) -> Show:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def wants(self, now: float) -> bool:
        """Whether the bar is due to be drawn again."""
        return self._console.is_terminal and now - self._drawn > _BAR_EVERY_SECONDS

    def draw(self, standing: Standing, now: float, seconds: float) -> None:
        """Draw the bar after so many seconds of running."""
        self._drawn = now
        part = standing.part
        left = f"ends in {seconds / part - seconds:,.0f} s" if part else ""
        total = 1.0 if part is not None else None
        self._bar.update(
            self._task, description=standing.brief(), completed=part or 0, total=total, end=left
        )

    def say(self, text: str) -> None:
        """One line, above the bar if there is one."""
        self._console.print(text, highlight=False, soft_wrap=True)

    def tell(self, standing: Standing) -> None:
        """One line of statistics, where there is no bar."""
        if not self._console.is_terminal:
            self.say(standing.line())


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What came of a replay. `acknowledged` is of the target that has the fewest."""

    events: int
    bytes: int
    acknowledged: int
    resumed_at: int
    rounds: int
    watermarks: int
    retries: int
    throttled: int
    misplaced: int
    seconds: float
    first_ms: int | None
    last_ms: int | None
    deviation: Spread | None
    largest_lag_seconds: float
    cut_waits: int
    cut_seconds: float
    stopped: bool
    targets: tuple[str, ...]
    counts: Counts

    @property
    def exit_code(self) -> int:
        """130 stopped; 1 something was bad or is not known as stored; else 0."""
        if self.stopped:
            return 130
        bad = self.counts.bad_lines or self.counts.bad_files
        return int(bool(bad) or self.acknowledged < self.events)

    def as_dict(self) -> dict[str, Any]:
        """For `--json`; times are ISO-8601 in UTC, deviations milliseconds."""
        counts = self.counts
        return {
            "events": self.events,
            "bytes": self.bytes,
            "acknowledged": self.acknowledged,
            "resumed_at": self.resumed_at,
            "rounds": self.rounds,
            "watermarks": self.watermarks,
            "retries": self.retries,
            "throttled": self.throttled,
            "misplaced": self.misplaced,
            "seconds": round(self.seconds, 3),
            "events_per_second": self.events_per_second,
            "first_event_time": _instant(self.first_ms),
            "last_event_time": _instant(self.last_ms),
            "deviation_ms": asdict(self.deviation) if self.deviation else None,
            "largest_lag_seconds": round(self.largest_lag_seconds, 3),
            "cut_waits": self.cut_waits,
            "cut_seconds": round(self.cut_seconds, 3),
            "stopped": self.stopped,
            "targets": list(self.targets),
            **input_figures(counts),
        }

    @property
    def events_per_second(self) -> int:
        """Over the whole run, the last acknowledgement included."""
        return round(self.events / self.seconds) if self.seconds else 0

    def lines(self) -> list[str]:
        """For people."""
        found = [
            f"{self.events:,} events ({self.bytes:,} bytes) sent to {' and '.join(self.targets)},"
            f" {self.acknowledged:,} acknowledged, in {self.seconds:.1f} s:"
            f" {self.events_per_second:,} a second",
            *_span(self.first_ms, self.last_ms),
            *input_lines(self.counts),
        ]
        if self.deviation:
            spread = self.deviation
            found.append(
                f"handed over after they were due: half within {spread.p50} ms, 99 % within"
                f" {spread.p99} ms, the worst {spread.max} ms"
            )
        if self.cut_waits:
            found.append(f"pauses cut: {self.cut_waits:,}, by {self.cut_seconds:,.0f} s in all")
        if self.watermarks:
            found.append(f"{self.watermarks:,} watermarks")
        if self.retries:
            found.append(f"{self.retries:,} retries, {self.throttled:,} of them throttled")
        if self.misplaced:
            found.append(f"{self.misplaced:,} aggregated records sent again, resharded meanwhile")
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class DryRun:
    """What a replay would send, and how long it would take."""

    events: int
    bytes: int
    first_ms: int | None
    last_ms: int | None
    seconds: float | None
    cut_waits: int
    cut_seconds: float
    counts: Counts

    @property
    def exit_code(self) -> int:
        """1 where a line or file is bad."""
        return int(bool(self.counts.bad_lines or self.counts.bad_files))

    def as_dict(self) -> dict[str, Any]:
        """For `--json`; `seconds` is null where only the target sets the pace."""
        return {
            "events": self.events,
            "bytes": self.bytes,
            "first_event_time": _instant(self.first_ms),
            "last_event_time": _instant(self.last_ms),
            "seconds": None if self.seconds is None else round(self.seconds, 3),
            "cut_waits": self.cut_waits,
            "cut_seconds": round(self.cut_seconds, 3),
            **input_figures(self.counts),
        }

    def lines(self) -> list[str]:
        """For people."""
        took = "as long as the target needs" if self.seconds is None else f"{self.seconds:,.1f} s"
        return [
            f"{self.events:,} events ({self.bytes:,} bytes) would be sent; it would take {took}",
            *_span(self.first_ms, self.last_ms),
            *input_lines(self.counts),
            *([f"pauses that would be cut: {self.cut_waits:,}"] if self.cut_waits else []),
            "nothing was sent",
        ]


def input_figures(counts: Counts) -> dict[str, Any]:
    """What was met in the input, for programs."""
    return {
        "files": counts.files,
        "lines": counts.lines,
        "bad_lines": counts.bad_lines,
        "bad_examples": counts.bad_examples[:_SHOWN],
        "bad_files": len(counts.bad_files),
        "bad_file_examples": counts.bad_files[:_SHOWN],
        "blank_lines": counts.blank_lines,
        "out_of_order": counts.out_of_order,
        "largest_lateness_ms": counts.largest_lateness_ms,
        "outside": counts.outside,
        "files_outside": counts.files_outside,
        "left_out": counts.left_out,
        "columns_left_out": {name: sorted(of) for name, of in counts.columns_left_out.items()},
    }


def input_lines(counts: Counts) -> list[str]:
    """What was met in the input, for people; nothing where all was well."""
    found = []
    if counts.out_of_order:
        found.append(
            f"{counts.out_of_order:,} events out of order, by {counts.largest_lateness_ms:,} ms at"
            " most: sent as soon as met (--reorder looks further ahead)"
        )
    if counts.bad_lines:
        found.append(f"BAD LINES, not sent: {counts.bad_lines:,}, the first of them:")
        found += [f"  {one}" for one in counts.bad_examples[:_SHOWN]]
    if counts.bad_files:
        found.append(f"BAD FILES: {len(counts.bad_files):,}, the first of them:")
        found += [f"  {one}" for one in counts.bad_files[:_SHOWN]]
    for name, columns in counts.columns_left_out.items():
        found.append(f"columns that {name} has no field for: {', '.join(sorted(columns))}")
    return found


def _span(first_ms: int | None, last_ms: int | None) -> list[str]:
    if first_ms is None or last_ms is None:
        return []
    return [f"event time from {timestamps.text(first_ms)} to {timestamps.text(last_ms)}"]


def _instant(millis: int | None) -> str | None:
    return None if millis is None else timestamps.text(millis)

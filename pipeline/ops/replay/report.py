"""Report on a replay while it runs and at its end."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from connectors.block import Block
from pipeline.decode import timestamps
from pipeline.ops.replay.order import Times
from pipeline.ops.replay.pace import Spread
from pipeline.ops.replay.selection import Counts

_SHOWN: Final = 5
"""How many bad lines and bad files are named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """The progress of a replay; `part` is the share that is done, if known."""

    events: int
    reached_ms: int | None
    events_per_second: float
    lag_seconds: float
    part: float | None

    def line(self, *, brief: bool = False) -> str:
        """Return one plain line; `brief` suits the bar of a narrow terminal."""
        if self.reached_ms is None:
            return "no event so far"
        reached = timestamps.text(self.reached_ms)
        if brief:
            return (
                f"{reached[:19]}Z {self.events:,} {self.events_per_second:,.0f}/s"
                f" {self.lag_seconds:.1f} s late"
            )
        return (
            f"all events until {reached} are sent: {self.events:,},"
            f" {self.events_per_second:,.0f} a second, {self.lag_seconds:.1f} s behind schedule"
        )


class Show:
    """Shows a bar on a terminal, elsewhere a plain line at intervals; use it as `with show.bar`."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self.bar = Progress(
            BarColumn(bar_width=8),
            TextColumn("{task.description}"),
            TextColumn("{task.fields[end]}"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self.bar.add_task("waiting for the first event", total=None, end="")

    def draw(self, standing: Standing, seconds: float) -> None:
        """Update the bar after so many seconds of running."""
        part = standing.part
        left = f"ends in {seconds / part - seconds:,.0f} s" if part else ""
        total = None if part is None else 1.0
        text = standing.line(brief=True)
        self.bar.update(self._task, description=text, completed=part or 0, total=total, end=left)

    def warn(self, warning: str) -> None:
        """Print a warning at once, also above the bar."""
        self._console.print(f"WARNING: {warning}", highlight=False, markup=False, soft_wrap=True)

    def line(self, standing: Standing) -> None:
        """Print one line of statistics where there is no bar."""
        if not self._console.is_terminal:
            self._console.print(standing.line(), highlight=False, soft_wrap=True)


@dataclass(kw_only=True)
class _Report:
    """What a replay and a dry run both report, updated while they run."""

    counts: Counts
    events: int = 0
    bytes: int = 0
    first_ms: int | None = None
    last_ms: int | None = None
    cut_waits: int = 0
    cut_seconds: float = 0.0

    def add(self, block: Block, times: Times) -> None:
        """Count events that were sent or would be; `times` must not decrease."""
        self.events += len(block)
        self.bytes += sum(len(raw) for raw in block.raws if raw)
        self.first_ms = int(times[0]) if self.first_ms is None else self.first_ms
        self.last_ms = int(times[-1])

    @property
    def exit_code(self) -> int:
        """1 if a line or file is bad, else 0."""
        return int(bool(self.counts.bad_lines or self.counts.bad_files))

    def as_dict(self) -> dict[str, Any]:
        """Return the figures for `--json`: ISO-8601 in UTC, seconds to the millisecond.

        Only the first few bad lines and files are named.
        """
        counts = self.counts
        figures = asdict(counts) | asdict(self)
        for which in ("first", "last"):
            millis = figures.pop(f"{which}_ms")
            text = None if millis is None else timestamps.text(millis)
            figures[f"{which}_event_time"] = text
        del figures["counts"], figures["skipped"]
        return {
            **{
                name: round(value, 3) if isinstance(value, float) else value
                for name, value in figures.items()
            },
            "bad_examples": counts.bad_examples[:_SHOWN],
            "bad_files": len(counts.bad_files),
            "bad_file_examples": counts.bad_files[:_SHOWN],
            "columns_left_out": {name: sorted(of) for name, of in counts.columns_left_out.items()},
        }

    def _input_lines(self) -> list[str]:
        lines, counts = [], self.counts
        if self.first_ms is not None and self.last_ms is not None:
            first, last = timestamps.text(self.first_ms), timestamps.text(self.last_ms)
            lines.append(f"event time from {first} to {last}")
        elif counts.outside or counts.files_outside:
            lines.append(
                f"NO EVENT is between --from and --until: {counts.outside:,} events and"
                f" {counts.files_outside:,} whole files are outside"
            )
        if counts.out_of_order:
            lines.append(
                f"{counts.out_of_order:,} events out of order, by {counts.largest_lateness_ms:,} ms"
                " at most: sent as soon as met (--reorder looks further ahead)"
            )
        lines += [f"WARNING: {warning}" for warning in counts.warnings]
        for what, count, examples in (
            ("BAD LINES, not sent", counts.bad_lines, counts.bad_examples),
            ("BAD FILES", len(counts.bad_files), counts.bad_files),
        ):
            if count:
                lines.append(f"{what}: {count:,}, the first of them:")
                lines += [f"  {example}" for example in examples[:_SHOWN]]
        for name, columns in counts.columns_left_out.items():
            if columns:
                lines.append(f"columns that {name} has no field for: {', '.join(sorted(columns))}")
        return lines


@dataclass(kw_only=True)
class Summary(_Report):
    """What a replay did. `acknowledged` is the lowest count of all targets."""

    targets: tuple[str, ...]
    resumed_at: int
    acknowledged: int = 0
    rounds: int = 1
    watermarks: int = 0
    retries: int = 0
    throttled: int = 0
    misplaced: int = 0
    seconds: float = 0.0
    deviation_ms: Spread | None = None
    largest_lag_seconds: float = 0.0
    stopped: bool = False

    @property
    def exit_code(self) -> int:
        """130 if stopped; 1 if something was bad or is not acknowledged; else 0."""
        if self.stopped:
            return 130
        return super().exit_code or int(self.acknowledged < self.events)

    @property
    def events_per_second(self) -> int:
        """Events a second over the whole run, including the last acknowledgement."""
        return round(self.events / self.seconds) if self.seconds else 0

    def as_dict(self) -> dict[str, Any]:
        """Return the figures for `--json`."""
        return {**super().as_dict(), "events_per_second": self.events_per_second}

    def lines(self) -> list[str]:
        """Return the report for people."""
        lines = [
            f"{self.events:,} events ({self.bytes:,} bytes) sent to {' and '.join(self.targets)},"
            f" {self.acknowledged:,} acknowledged, in {self.seconds:.1f} s:"
            f" {self.events_per_second:,} a second",
            *self._input_lines(),
        ]
        if self.deviation_ms:
            spread = self.deviation_ms
            lines.append(
                f"handed over after they were due: half within {spread.p50} ms, 99 % within"
                f" {spread.p99} ms, the worst {spread.max} ms"
            )
        if self.cut_waits:
            lines.append(f"pauses cut: {self.cut_waits:,}, by {self.cut_seconds:,.0f} s in all")
        if self.watermarks:
            lines.append(f"{self.watermarks:,} watermarks")
        if self.retries:
            lines.append(f"{self.retries:,} retries, {self.throttled:,} of them throttled")
        if self.misplaced:
            lines.append(f"{self.misplaced:,} aggregated records sent again, resharded meanwhile")
        return lines


@dataclass(kw_only=True)
class DryRun(_Report):
    """What a replay would send; `seconds` is None where only the target sets the pace."""

    seconds: float | None = None

    def lines(self) -> list[str]:
        """Return the report for people."""
        took = "as long as the target needs" if self.seconds is None else f"{self.seconds:,.1f} s"
        return [
            f"{self.events:,} events ({self.bytes:,} bytes) would be sent; it would take {took}",
            *self._input_lines(),
            *([f"pauses that would be cut: {self.cut_waits:,}"] if self.cut_waits else []),
            "nothing was sent",
        ]

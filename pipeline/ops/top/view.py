"""What `top` shows: a report for programs, and the same as lines for people.

What is not known is None there and `?` here; a step has no value at all for what does not apply.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from connectors.flink.job_metrics import Reading
from pipeline.ops.top.data import COLUMNS, rejects
from pipeline.ops.top.files import Made, all_of
from pipeline.ops.top.rates import METER_SECONDS, Rates, Sample
from pipeline.terminal import instant, printable, table

UNKNOWN: Final = "?"
HEADER: Final = ("step", *(name for each in COLUMNS for name in (each, f"{each}/s")), "files")
REJECTS_HEADER: Final = ("rejected", "number", "number/s")
_STOPPED_BY_ITSELF: Final = ("FAILED", "SUSPENDED")
_UNITS: Final = (("d", 86_400), ("h", 3_600), ("min", 60))


@dataclass(frozen=True, slots=True)
class Screen:
    """One picture of a job."""

    sample: Sample
    rates: Rates
    made: Made

    @property
    def reading(self) -> Reading:
        """Return the reading that this is a picture of."""
        return self.sample.reading

    @property
    def exit_code(self) -> int:
        """Return 1 if the job ended by itself, else 0."""
        return int(self.reading.job.state in _STOPPED_BY_ITSELF)

    def report(self) -> dict[str, Any]:
        """Return everything, for programs."""
        reading, rates = self.reading, self.rates
        known = bool(self.sample.numbers.counters)
        return {
            "job_id": reading.job.job_id,
            "name": reading.job.name,
            "state": reading.job.state,
            "state_since": _time(reading.since_ms),
            "tasks": {"all": reading.tasks, "running": reading.tasks_running},
            "counted_since": _time(reading.tasks_ms),
            "restarts": reading.restarts,
            "cause": reading.cause or None,
            "checkpoint": self._checkpoint(),
            "checkpoint_failed": reading.failed or None,
            "rates_over_seconds": (rates.seconds or METER_SECONDS) if known else None,
            "steps": {step: self._step(step) for step in self.sample.numbers.columns},
            "rejects": list(self._rejects()),
            "behind": {
                source: behind._asdict() for source, behind in self.sample.numbers.behind.items()
            },
            "lag_ms": {step: rates.lag.get(step) for step in self._timed()},
            "index": self._index(),
            "files_unknown": self.made.problem or None,
        }

    def lines(self, width: int) -> Iterator[str]:
        """Yield everything, for people, in lines that fit into `width` where they can."""
        yield from self.head()
        tables = (HEADER, self.rows()), (REJECTS_HEADER, self.reject_rows())
        steps, rejected = (table(header, rows, width) if rows else [] for header, rows in tables)
        for part in (steps, list(self.notes()), rejected):
            if part:
                yield from ("", *part)

    def head(self) -> Iterator[str]:
        """Yield how the job is, why it restarted, and its last checkpoint."""
        reading = self.reading
        name, job_id = printable(reading.job.name), printable(reading.job.job_id)
        yield f"{name}  {self.state()}  ({job_id})"
        if reading.restarts or reading.cause:
            cause = f"; last cause: {_text(reading.cause)}" if reading.cause else ""
            yield f"restarts: {_count(reading.restarts)}{cause}"
        yield f"checkpoint: {self._checkpoint_in_words()}"

    def rows(self) -> list[tuple[str, ...]]:
        """Return each step's cells below `HEADER`; none while there are no numbers."""
        steps = self.sample.numbers.columns if self._has_numbers else ()
        return [tuple(self._row(step)) for step in steps]

    def reject_rows(self) -> list[tuple[str, ...]]:
        """Return the cells below `REJECTS_HEADER`, the most frequent reason first."""
        return [_reject_row(each) for each in self._rejects()] if self._has_numbers else []

    def notes(self) -> Iterator[str]:
        """Yield lag, requests to the index, files, and since when numbers are counted."""
        if self._has_numbers:
            yield from self._notes()
        elif self.reading.runs:
            yield "Flink has no numbers of its steps yet"

    def state(self) -> str:
        """Return how the job is, in words."""
        reading = self.reading
        state, since = printable(reading.job.state), _age(reading.now_ms - reading.since_ms)
        if reading.job.has_ended:
            return f"{state} at {_time(reading.since_ms)}"
        if reading.runs:
            return f"RUNNING for {since}"
        waiting = f", {reading.tasks_waiting} wait for a slot" if reading.tasks_waiting else ""
        tasks = f"{reading.tasks_running} of {reading.tasks} tasks run{waiting}"
        return f"{state} for {since}: {tasks}; no numbers while others do not"

    @property
    def _has_numbers(self) -> bool:
        return self.reading.runs and bool(self.sample.numbers.counters)

    def _step(self, step: str) -> dict[str, Any]:
        counters, per_second = self.sample.numbers.counters, self.rates.per_second
        values: dict[str, Any] = {}
        for name in self.sample.numbers.columns[step]:
            values[name] = _whole(counters.get(f"{step}.{name}"))
            values[f"{name}_per_second"] = _rounded(per_second.get(f"{step}.{name}"))
        if files := self.made.of(step):
            values |= {"files": files.number, "file_bytes": files.bytes}
        return values

    def _row(self, step: str) -> Iterator[str]:
        yield printable(step)
        values = self._step(step)
        for name in COLUMNS:
            known = name in values
            yield _count(values[name]) if known else ""
            yield _rate(values[f"{name}_per_second"]) if known else ""
        yield _count(values["files"]) if "files" in values else ""

    def _rejects(self) -> Iterator[dict[str, Any]]:
        counters = self.sample.numbers.counters
        ranked = sorted(rejects(counters), key=lambda each: (-counters[each[2]], *each))
        for step, reason, name in ranked:
            rate = _rounded(self.rates.per_second.get(name))
            yield {
                "step": step,
                "reason": reason,
                "number": _whole(counters[name]),
                "per_second": rate,
            }

    def _timed(self) -> list[str]:
        """Return the steps that measure the time from an event's arrival."""
        return [step for step in ("decode", "index") if step in self.sample.numbers.columns]

    def _index(self) -> dict[str, Any] | None:
        if "index" not in self.sample.numbers.columns:
            return None
        counters = self.sample.numbers.counters
        return {
            "request_ms": _rounded(self.rates.index_ms),
            "requests": _whole(counters.get("index.requests")),
            "retries": _whole(counters.get("index.retries")),
            "retries_per_second": _rounded(self.rates.per_second.get("index.retries")),
        }

    def _checkpoint(self) -> dict[str, Any] | None:
        last = self.reading.checkpoint
        return last and {
            "number": last.number,
            "completed": _time(last.completed_ms),
            "age_seconds": max(0, self.reading.now_ms - last.completed_ms) / 1000,
            "duration_ms": last.duration_ms,
            "bytes": last.bytes,
        }

    def _checkpoint_in_words(self) -> str:
        last = self.reading.checkpoint
        words = "none completed yet"
        if last:
            age = _age(self.reading.now_ms - last.completed_ms)
            took = last.duration_ms / 1000
            words = f"{last.number} completed {age} ago, took {took:,.1f} s, {_bytes(last.bytes)}"
        if self.reading.failed:
            words += f"; the newest FAILED: {_text(self.reading.failed)}"
        return words

    def _notes(self) -> Iterator[str]:
        yield from self._lags()
        if index := self._index():
            millis, retries = _rate(index["request_ms"]), _count(index["retries"])
            rate = _rate(index["retries_per_second"])
            yield f"index: {millis} ms a request, {retries} retries, {rate}/s"
        files = dict(all_of(self.made, self.sample.numbers.columns))
        if files:
            number, size = (sum(numbers) for numbers in zip(*files.values(), strict=True))
            yield f"files: {number:,} made since the job's start, {_bytes(size)}"
        elif self.made.problem:
            yield f"files: {UNKNOWN} ({_text(self.made.problem)})"
        over = "Flink's means over the last minute"
        if self.rates.seconds:
            over = f"over the last {self.rates.seconds:.1f} s"
        yield f"rates: {over}; numbers: since {_time(self.reading.tasks_ms)}"

    def _lags(self) -> Iterator[str]:
        for source, behind in self.sample.numbers.behind.items():
            yield f"lag: {printable(source)} is {behind.number:,} {behind.unit} behind"
        over = "" if self.rates.seconds else " of all events"
        for step in self._timed():
            lag: Mapping[str, int] | None = self.rates.lag.get(step)
            shown = f"p50 {lag['p50']:,} ms, p99 {lag['p99']:,} ms" if lag else "no event to time"
            yield f"lag: from arrival to {step}{over}: {shown}"


def _reject_row(reject: Mapping[str, Any]) -> tuple[str, str, str]:
    name = printable(f"{reject['step']} {reject['reason']}")
    return name, _count(reject["number"]), _rate(reject["per_second"])


def _time(epoch_ms: int | None) -> str | None:
    return None if epoch_ms is None else instant(epoch_ms)


def _age(millis: int) -> str:
    seconds = max(0, millis) // 1000
    for unit, length in _UNITS:
        if seconds >= length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"


def _whole(number: float | None) -> int | None:
    return None if number is None else int(number)


def _rounded(number: float | None) -> float | None:
    return None if number is None else round(number, 1)


def _count(number: int | None) -> str:
    return UNKNOWN if number is None else f"{number:,}"


def _rate(number: float | None) -> str:
    if number is None:
        return UNKNOWN
    return f"{number:,.0f}" if number >= 100 or not number else f"{number:.1f}"


def _bytes(number: int) -> str:
    return f"{number:,} bytes" if number < 1_000_000 else f"{number / 1_000_000:,.1f} MB"


def _text(text: str) -> str:
    return printable(" ".join(text.split()))

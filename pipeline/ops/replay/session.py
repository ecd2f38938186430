"""Run `streaming-etl replay`, from its options to its exit code."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Event
from types import FrameType
from typing import Any, Final

import msgspec
import typer
from rich.console import Console

from connectors.errors import UserError
from connectors.producer import Producer
from pipeline.decode import timestamps
from pipeline.events.event_types import EventTypes
from pipeline.ops.replay.history import History
from pipeline.ops.replay.report import DryRun, Show, Summary
from pipeline.ops.replay.rounds import Rounds
from pipeline.ops.replay.run import Plan, Replay, State, dry_run, save
from pipeline.ops.replay.selection import Selection
from pipeline.ops.replay.targets import TargetOptions, choose, configured_types
from pipeline.ops.replay.trips import KEY_FIELD, TIME_FIELD
from pipeline.options import ROOT

WATERMARK: Final = "watermark"
"""The control type of what replay sends between events; see `Replay`."""

STATES: Final = ROOT / "build" / "replay"

Options = Mapping[str, Any]
"""The command's parameters by name."""


def run(options: Options) -> int:
    """Replay, or count what would be sent; return the exit code.

    Raises:
        UserError: an option is wrong, the input cannot be read, or a target refuses.
    """
    selection, plan = _selection(options), _plan(options)
    fields = TargetOptions.__dataclass_fields__
    target_options = TargetOptions(**{name: options[name] for name in fields})
    if options["dry_run"]:
        if options["resume"]:
            raise UserError("--dry-run reads everything from the beginning: leave --resume out.")
        types = configured_types(target_options)
        plan = _with_watermarks(plan, options, types)
        forecast = dry_run(Rounds(_history(options, selection, types), options["loop"]), plan)
        _print(forecast, options)
        return forecast.exit_code
    targets, types = choose(target_options)
    plan = _with_watermarks(plan, options, types)
    history = _history(options, selection, types)
    fresh = State(
        input=options["uri"],
        fingerprint=history.fingerprint(),
        selection=msgspec.json.encode(selection).decode(),
        targets=tuple(target.name for target in targets),
        rounds=options["loop"],
    )
    path = options["state"] or fresh.path(STATES)
    state = fresh.resumed(path) if options["resume"] else fresh
    if state.finished:
        typer.echo(f"nothing is left to send: {path} says that all {state.total:,} events are sent")
        return 0
    rounds = Rounds(history, options["loop"], state.spans)
    summary = _send(rounds, [target.connect() for target in targets], plan, state, path)
    _print(summary, options)
    if summary.stopped:
        typer.echo(f"stopped; the same command with --resume goes on (from {path})", err=True)
    return summary.exit_code


def _send(
    rounds: Rounds, producers: Sequence[Producer], plan: Plan, state: State, path: Path
) -> Summary:
    """Run the replay; close the targets also after an error."""
    stop, show, flush = Event(), Show(Console(stderr=True)), True
    run = Replay(rounds, producers, plan, state, save=partial(save, path), show=show, stop=stop)
    try:
        with _signals(stop), show.bar:
            return run.run()
    except UserError as error:
        raise UserError(f"{error}. With --resume it goes on, from {path}") from error
    except KeyboardInterrupt:
        flush = False
        raise
    finally:
        with ExitStack() as stack:
            for producer in producers:
                stack.callback(producer.close, flush=flush)


@contextmanager
def _signals(stop: Event) -> Iterator[None]:
    """Stop cleanly at the first Ctrl-C or SIGTERM, at once at the second."""

    def handle(number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    signals = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, handle) for number in signals}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


_HISTORICAL: Final = {
    "timestamp_field": TIME_FIELD,
    "timestamp_format": "iso",
    "key": KEY_FIELD,
}
"""Options, with their defaults, that mean nothing of an archive."""


def _selection(options: Options) -> Selection:
    for name, default in _HISTORICAL.items():
        if options["archive"] and options[name] != default:
            raise UserError(
                f"--{name.replace('_', '-')} is {options[name]!r}, but archived records have the"
                " time of their arrival and the key they came with: leave it or --archive out."
            )
    start_ms, end_ms = _instant("--from", options["start"]), _instant("--until", options["until"])
    if start_ms is not None and end_ms is not None and start_ms >= end_ms:
        raise UserError(
            f"--from {options['start']} is not before --until {options['until']}: no event would be"
            " between them."
        )
    return Selection(
        timestamp_field=options["timestamp_field"],
        timestamp_format=options["timestamp_format"],
        key_field=options["key"],
        start_ms=start_ms,
        end_ms=end_ms,
        limit=options["limit"],
        reorder=options["reorder"],
        archive=options["archive"],
    )


def _plan(options: Options) -> Plan:
    for name in ("speedup", "rate", "max_wait", "timeout"):
        value = options[name]
        if value is not None and not 0 < value < float("inf"):
            option = name.replace("_", "-")
            raise UserError(f"--{option} is {value}; give a number above 0.")
    return Plan(
        speedup=None if options["unpaced"] else options["speedup"],
        rate=options["rate"],
        max_wait_seconds=options["max_wait"],
        statistics_seconds=options["statistics_seconds"],
    )


def _with_watermarks(plan: Plan, options: Options, types: EventTypes | None) -> Plan:
    """Return the plan with watermarks, where there is a schema of theirs and no other wish.

    Without a configuration, events with the shipped types' time are taken for the shipped types'.
    """
    known = options["timestamp_field"] == TIME_FIELD
    if types is not None:
        known = any(control.name == WATERMARK for control in types.control)
    asked = options["watermarks"]
    if asked and not known and types is not None:
        raise UserError(
            f"--watermarks: the schemas have no control type {WATERMARK}, so the job would reject"
            " them; add schemas/watermark.avsc of this project to yours, or leave the option out."
        )
    by_default = known and not options["archive"]
    return replace(plan, watermarks=by_default if asked is None else asked)


def _history(options: Options, selection: Selection, types: EventTypes | None = None) -> History:
    region = {"AWS_REGION": options["input_region"]} if options["input_region"] else {}
    return History(options["uri"], selection, {**os.environ, **region}, types=types)


def _print(report: Summary | DryRun, options: Options) -> None:
    typer.echo(json.dumps(report.as_dict()) if options["as_json"] else "\n".join(report.lines()))


def _instant(option: str, text: str) -> int | None:
    if not text:
        return None
    millis = timestamps.parse(text)
    if not isinstance(millis, int):
        raise UserError(
            f"{option} is {text!r}; give an instant such as 2018-01-01T00:00:00Z (ISO-8601 with an"
            " offset, to the millisecond)."
        )
    return millis

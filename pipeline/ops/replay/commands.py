"""`streaming-etl replay`: historical events to Kafka or Kinesis, paced by event time."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, Final

import typer
from rich.console import Console
from typer.core import TyperCommand

from connectors.errors import UserError
from connectors.producer import Producer
from pipeline.decode import timestamps
from pipeline.events.event_types import EventTypes
from pipeline.ops.replay import old_options, options
from pipeline.ops.replay import state as states
from pipeline.ops.replay.dry_run import dry_run
from pipeline.ops.replay.history import History, Selection
from pipeline.ops.replay.report import DryRun, Show, Summary
from pipeline.ops.replay.rounds import Rounds
from pipeline.ops.replay.run import Plan, Replay, Source, Stop
from pipeline.ops.replay.state import State
from pipeline.ops.replay.where import Places, Wanted, places
from pipeline.options import ROOT, JsonOption

STATES: Final = ROOT / "build" / "replay"

app = typer.Typer()


class ReplayCommand(TyperCommand):
    """Takes the options of the original's replay too."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Puts old options into ours, and says so."""
        ours, notes = old_options.translate(args)
        for note in notes:
            typer.echo(f"streaming-etl replay: {note}", err=True)
        return super().parse_args(ctx, old_options.with_loop_count(ours))


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What the command line asked for."""

    uri: str
    selection: Selection
    wanted: Wanted
    plan: Plan
    rounds: int
    input_region: str
    resume: bool
    state: Path | None


def add_to(main: typer.Typer) -> None:
    """Make this command the main program's own."""
    main.registered_commands.extend(app.registered_commands)


@app.command(
    "replay",
    cls=ReplayCommand,
    epilog="Example: streaming-etl replay data/trips --topic trips --speedup 3600",
)
def replay(
    uri: options.Input,
    config: options.ConfigPath = None,
    topic: options.Topic = "",
    stream: options.StreamName = "",
    bootstrap_servers: options.Servers = "",
    region: options.Region = "",
    endpoint: options.Endpoint = "",
    aggregate: options.Aggregate = False,
    timeout: options.Timeout = 60.0,
    remote: options.Remote = False,
    speedup: options.Speedup = 3600.0,
    unpaced: options.Unpaced = False,
    rate: options.Rate = None,
    max_wait: options.MaxWait = 60.0,
    watermarks: options.WithWatermarks = None,
    start: options.From = "",
    until: options.Until = "",
    limit: options.Limit = None,
    loop: options.Loop = 1,
    timestamp_field: options.TimestampField = "dropoff_datetime",
    timestamp_format: options.TimestampFormat = "iso",
    key: options.Key = "trip_id",
    reorder: options.Reorder = 10_000,
    archive: options.IsArchive = False,
    input_region: options.InputRegion = "",
    statistics_seconds: options.Statistics = 20.0,
    dry_run: options.IsDryRun = False,
    resume: options.Resume = False,
    state: options.StateFile = None,
    as_json: JsonOption = False,
) -> None:
    """Send historical events to Kafka or Kinesis, at the pace at which they happened.

    Exit 0: all of it is stored. 1: there were bad lines or files. 130: stopped; --resume goes on.
    """
    given = locals()
    order = Order(
        uri=uri,
        selection=_selection(given),
        wanted=Wanted(**{name: given[name] for name in Wanted.__dataclass_fields__}),
        plan=_plan(given),
        rounds=loop,
        input_region=input_region,
        resume=resume,
        state=state,
    )
    raise typer.Exit(_dry(order, as_json) if dry_run else _send(order, as_json))


def _selection(given: Mapping[str, Any]) -> Selection:
    """Which events; UserError for an instant that is none."""
    return Selection(
        timestamp_field=given["timestamp_field"],
        timestamp_format=given["timestamp_format"],
        key_field=given["key"],
        start_ms=_instant("--from", given["start"]),
        end_ms=_instant("--until", given["until"]),
        limit=given["limit"],
        reorder=given["reorder"],
        archive=given["archive"],
    )


def _plan(given: Mapping[str, Any]) -> Plan:
    """How fast; UserError for a number that must be positive."""
    for name in ("speedup", "rate", "max_wait", "timeout"):
        value = given[name]
        if value is not None and not 0 < value < float("inf"):
            option = name.replace("_", "-")
            raise UserError(f"--{option} is {value}; give a number above 0.")
    watermarks = given["watermarks"]
    return Plan(
        speedup=None if given["unpaced"] else given["speedup"],
        rate=given["rate"],
        max_wait_seconds=given["max_wait"],
        watermarks=not given["archive"] if watermarks is None else watermarks,
        statistics_seconds=given["statistics_seconds"],
    )


def _dry(order: Order, as_json: bool) -> int:
    """Reads everything; asks no target for anything."""
    history = _history(order, os.environ)
    found = dry_run(Rounds(history, max(1, order.rounds)), history.counts, order.plan)
    _print(found, as_json)
    return found.exit_code


def _send(order: Order, as_json: bool) -> int:
    where = places(order.wanted)
    where.refuse_accidents(remote=order.wanted.remote, rate=order.plan.rate)
    history = _history(order, where.environment, where.types)
    state, path = _state(order, where, history)
    if state.finished:
        typer.echo(f"nothing is left to send: {path} says that all {state.total:,} events are sent")
        return 0
    stop, console = Stop(), Console(stderr=True)
    targets = where.open()
    source = Source(
        rounds=Rounds(history, order.rounds, state.spans),
        counts=history.counts,
        selection=order.selection,
    )
    with _signals(stop), Show(console) as show:
        run = Replay(
            source,
            targets,
            order.plan,
            state,
            save=partial(states.save, path),
            show=show,
            stop=stop,
        )
        summary = _whole(run, targets, path)
    _print(summary, as_json)
    if summary.stopped:
        typer.echo(f"stopped; the same command with --resume goes on (from {path})", err=True)
    return summary.exit_code


def _whole(run: Replay, targets: Sequence[Producer], path: Path) -> Summary:
    """The run, with its targets closed whatever happens."""
    flush = True
    try:
        return run.run()
    except UserError as error:
        raise UserError(f"{error}. With --resume it goes on, from {path}") from error
    except KeyboardInterrupt:
        flush = False
        raise
    finally:
        with ExitStack() as stack:
            for target in targets:
                stack.callback(target.close, flush=flush)


def _history(order: Order, found: Mapping[str, str], types: EventTypes | None = None) -> History:
    region = {"AWS_REGION": order.input_region} if order.input_region else {}
    loop = order.rounds != 1
    return History(order.uri, order.selection, {**found, **region}, types=types, loop=loop)


def _state(order: Order, where: Places, history: History) -> tuple[State, Path]:
    """Where to begin, and the file that will say how far it has come."""
    fresh = State(
        input=order.uri,
        fingerprint=history.fingerprint(),
        selection=states.described(order.selection),
        targets=tuple(place.name for place in where.places),
        rounds=order.rounds,
    )
    path = order.state or states.default_path(STATES, fresh)
    return (states.resumed(path, fresh) if order.resume else fresh), path


@contextmanager
def _signals(stop: Stop) -> Iterator[None]:
    """The first Ctrl-C or SIGTERM asks for the end; a second one doesn't wait for it."""

    def ask(number: int, frame: FrameType | None) -> None:
        if stop.wanted:
            raise KeyboardInterrupt
        stop()

    before = {each: signal.signal(each, ask) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _print(found: Summary | DryRun, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(found.as_dict()))
    else:
        typer.echo("\n".join(found.lines()))


def _instant(option: str, text: str) -> int | None:
    if not text:
        return None
    found = timestamps.parse(text)
    if not isinstance(found, int):
        raise UserError(
            f"{option} is {text!r}; give an instant such as 2018-01-01T00:00:00Z (ISO-8601 with an"
            " offset, to the millisecond)."
        )
    return found

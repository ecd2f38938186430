"""`streaming-etl tap`: see what flows right now, in the source and in the sinks."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.options import LOCAL, ConfigOption, JsonOption

if TYPE_CHECKING:
    from pipeline.ops.tap.view import Tap

app = typer.Typer(
    no_args_is_help=True,
    help="See what flows right now: in the source, the lake, the index and the dead letters."
    " Reads only, beside the job: no consumer group, no committed offset. Ends when --limit were"
    " shown, after --timeout, or by Ctrl-C. Exit 1 if nothing came within --timeout.",
)

LimitOption = Annotated[
    int, typer.Option(help="End when so many were shown; 0: only by Ctrl-C or --timeout.", min=0)
]
TimeoutOption = Annotated[
    float | None, typer.Option(help="End after so many seconds of following.", min=0)
]


def add_to(main: typer.Typer) -> None:
    """Add the group `tap` to the main program."""
    main.add_typer(app, name="tap")


@app.command(epilog="Example: streaming-etl tap decode --config conf/local.yaml --since 60")
def decode(
    config: ConfigOption = LOCAL,
    since: Annotated[
        float, typer.Option(help="Begin so many seconds ago; 0: with what comes now.", min=0)
    ] = 0.0,
    rejects: Annotated[bool, typer.Option("--rejects", help="Only what decode rejects.")] = False,
    limit: LimitOption = 10,
    timeout: TimeoutOption = None,
    as_json: JsonOption = False,
) -> None:
    """Decode what arrives in the source as the job does; show partition and id, or the reason."""

    def open_tap() -> Tap:
        from pipeline.ops.tap.decode import DecodeTap

        return DecodeTap(config, since_seconds=since, rejects_only=rejects)

    _run(open_tap, limit, timeout, as_json)


@app.command(epilog="Example: streaming-etl tap lake --config conf/local.yaml --type trip")
def lake(
    config: ConfigOption = LOCAL,
    since: Annotated[
        float,
        typer.Option(help="First those of the last so many seconds, the newest first.", min=0),
    ] = 0.0,
    event_type: Annotated[
        list[str] | None,
        typer.Option("--type", help="Only this event type's folder; may be repeated."),
    ] = None,
    rows: Annotated[int, typer.Option(help="Rows to show of each file.", min=1, max=1000)] = 3,
    limit: LimitOption = 10,
    timeout: TimeoutOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the files that come to the lake, and some rows of each, with their partition."""

    def open_tap() -> Tap:
        from pipeline.ops.tap.lake import LakeTap

        return LakeTap(config, since_seconds=since, rows=rows, event_types=event_type or [])

    _run(open_tap, limit, timeout, as_json)


@app.command(epilog="Example: streaming-etl tap index --config conf/local.yaml --newest 0")
def index(
    config: ConfigOption = LOCAL,
    newest: Annotated[
        int,
        typer.Option(
            help="First so many of each index that were there, the newest first.", min=0, max=100
        ),
    ] = 3,
    limit: LimitOption = 10,
    timeout: TimeoutOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the newest documents of each index, then those that come, with index and id."""

    def open_tap() -> Tap:
        from pipeline.ops.tap.index import IndexTap

        return IndexTap(config, newest=newest)

    _run(open_tap, limit, timeout, as_json)


@app.command("dead-letters", epilog="Example: streaming-etl tap dead-letters --since 86400")
def dead_letters(
    config: ConfigOption = LOCAL,
    since: Annotated[
        float,
        typer.Option(help="First those of the last so many seconds, the newest first.", min=0),
    ] = 3600.0,
    limit: LimitOption = 10,
    timeout: TimeoutOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the newest dead letters, then those that come: step, reason, position and detail."""

    def open_tap() -> Tap:
        from pipeline.ops.tap.dead_letters import DeadLettersTap

        return DeadLettersTap(config, since_seconds=since, limit=limit)

    _run(open_tap, limit, timeout, as_json)


def _run(
    open_tap: Callable[[], Tap], limit: int, timeout_seconds: float | None, as_json: bool
) -> None:
    from pipeline.ops.tap.view import run

    raise typer.Exit(run(open_tap, limit=limit, timeout_seconds=timeout_seconds, as_json=as_json))

"""`streaming-etl replay`: the command and its options; heavy imports wait until it runs."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import typer
from typer.core import TyperCommand

from pipeline.ops.replay import old_options
from pipeline.ops.replay.trips import KEY_FIELD, TIME_FIELD
from pipeline.options import JsonOption

_target: Final = partial(typer.Option, rich_help_panel="Where to")
_pace: Final = partial(typer.Option, rich_help_panel="Pace")
_input: Final = partial(typer.Option, rich_help_panel="Input")

ConfigPath = Annotated[
    Path | None, typer.Option("--config", "-c", help="The YAML file (conf/local.yaml).")
]
TimeField = Annotated[str, _input(help="Where an event's time is; a.b is nested.")]
Watermarks = Annotated[
    bool | None,
    _pace(
        "--watermarks/--no-watermarks",
        help="Every second, to every partition and shard (on if the schemas have their type; off"
        " with --archive).",
    ),
]
Loop = Annotated[
    int,
    _input(
        min=0,
        metavar="[ROUNDS]",
        help="Number of rounds, each with later times and new ids; 0 or nothing: forever.",
    ),
]
SqlOrIso = Annotated[Literal["iso", "sql"], _input(help="sql: 2018-01-01 00:00:00, in UTC.")]
Statistics = Annotated[
    float, typer.Option(min=0.1, help="Seconds between lines of statistics, and saved states.")
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Read everything, send nothing, report the duration.")
]
StateFile = Annotated[Path | None, typer.Option(help="Where progress is saved (in build/replay).")]

app = typer.Typer()


class ReplayCommand(TyperCommand):
    """Accept the options of the original replay too."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Translate old options into ours, with a note about each."""
        ours, notes = old_options.translate(args)
        for note in notes:
            typer.echo(f"streaming-etl replay: {note}", err=True)
        return super().parse_args(ctx, old_options.with_loop_count(ours))


def add_to(main: typer.Typer) -> None:
    """Add this command to the main program."""
    main.registered_commands.extend(app.registered_commands)


@app.command(
    "replay",
    cls=ReplayCommand,
    epilog="Example: streaming-etl replay data/trips --topic trips --speedup 3600",
)
def replay(
    uri: Annotated[str, typer.Argument(metavar="INPUT", help="A folder, a file or s3://bucket/…")],
    config: ConfigPath = None,
    topic: Annotated[str, _target(help="A Kafka topic.")] = "",
    stream: Annotated[str, _target(help="A Kinesis stream, by name or ARN.")] = "",
    bootstrap_servers: Annotated[str, _target(help="Brokers on this machine, no config.")] = "",
    region: Annotated[str, _target(help="Of the stream.")] = "",
    endpoint: Annotated[str, _target(help="Of a Kinesis server that isn't AWS's.")] = "",
    aggregate: Annotated[bool, _target("--aggregate", help="Pack as the KPL does.")] = False,
    timeout: Annotated[float, _target(help="Seconds until an unavailable target ends it.")] = 60.0,
    remote: Annotated[
        bool, _target("--remote", help="Go beyond this machine; needs --rate.")
    ] = False,
    speedup: Annotated[float, _pace(help="Event seconds in one second.")] = 3600.0,
    unpaced: Annotated[bool, _pace("--unpaced", help="As fast as the target accepts.")] = False,
    rate: Annotated[float | None, _pace(help="Maximum number of events per second.")] = None,
    max_wait: Annotated[float, _pace(help="Seconds; a longer pause is cut.")] = 60.0,
    watermarks: Watermarks = None,
    start: Annotated[str, _input("--from", "--seek", help="Event time, ISO-8601.")] = "",
    until: Annotated[str, _input(help="Event time, exclusive.")] = "",
    limit: Annotated[int | None, _input(min=1, help="Maximum number of events per round.")] = None,
    loop: Loop = 1,
    timestamp_field: TimeField = TIME_FIELD,
    timestamp_format: SqlOrIso = "iso",
    key: Annotated[str, _input(help="The field that is the key.")] = KEY_FIELD,
    reorder: Annotated[int, _input(min=0, help="Events buffered to restore order.")] = 10_000,
    archive: Annotated[bool, _input("--archive", help="INPUT is our archive.")] = False,
    input_region: Annotated[str, _input(help="Of INPUT's bucket.")] = "",
    statistics_seconds: Statistics = 20.0,
    dry_run: DryRun = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue after what is stored.")
    ] = False,
    state: StateFile = None,
    as_json: JsonOption = False,
) -> None:
    """Send historical events to Kafka or Kinesis, at the pace at which they happened.

    Exit 0: all of it is stored. 1: there were bad lines or files. 130: stopped; --resume continues.
    """
    options = locals()
    from pipeline.ops.replay import session

    raise typer.Exit(session.run(options))

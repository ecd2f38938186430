"""The options of `streaming-etl replay`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal

import typer

_TARGET: Final = "Where to"
_PACE: Final = "Pace"
_INPUT: Final = "Input"

Input = Annotated[str, typer.Argument(metavar="INPUT", help="A folder, a file or s3://bucket/…")]
ConfigPath = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="The YAML file (conf/local.yaml)."),
]
Topic = Annotated[str, typer.Option(help="A Kafka topic.", rich_help_panel=_TARGET)]
StreamName = Annotated[
    str, typer.Option(help="A Kinesis stream, by name or ARN.", rich_help_panel=_TARGET)
]
Servers = Annotated[
    str, typer.Option(help="Brokers on this machine, no config.", rich_help_panel=_TARGET)
]
Region = Annotated[str, typer.Option(help="Of the stream.", rich_help_panel=_TARGET)]
Endpoint = Annotated[
    str, typer.Option(help="Of a Kinesis server that isn't AWS's.", rich_help_panel=_TARGET)
]
Aggregate = Annotated[
    bool,
    typer.Option("--aggregate", help="Pack records as the KPL does.", rich_help_panel=_TARGET),
]
Timeout = Annotated[
    float, typer.Option(help="Seconds; a target away for longer ends it.", rich_help_panel=_TARGET)
]
Remote = Annotated[
    bool,
    typer.Option(
        "--remote", help="Yes, beyond this machine; needs --rate.", rich_help_panel=_TARGET
    ),
]
Speedup = Annotated[float, typer.Option(help="Event seconds in one second.", rich_help_panel=_PACE)]
Unpaced = Annotated[
    bool,
    typer.Option("--unpaced", help="As fast as the target takes it.", rich_help_panel=_PACE),
]
Rate = Annotated[
    float | None, typer.Option(help="At most so many events a second.", rich_help_panel=_PACE)
]
MaxWait = Annotated[
    float,
    typer.Option(help="Seconds; a longer pause of the events is cut.", rich_help_panel=_PACE),
]
WithWatermarks = Annotated[
    bool | None,
    typer.Option(
        "--watermarks/--no-watermarks",
        help="Every second, to every partition and shard (on; off with --archive).",
        rich_help_panel=_PACE,
    ),
]
From = Annotated[
    str,
    typer.Option("--from", "--seek", help="Event time, ISO-8601.", rich_help_panel=_INPUT),
]
Until = Annotated[str, typer.Option(help="Event time, exclusive.", rich_help_panel=_INPUT)]
Limit = Annotated[
    int | None, typer.Option(min=1, help="So many events a round.", rich_help_panel=_INPUT)
]
Loop = Annotated[
    int,
    typer.Option(
        min=0,
        metavar="[ROUNDS]",
        help="So many rounds, later each and with new ids; 0 or nothing: for ever.",
        rich_help_panel=_INPUT,
    ),
]
TimestampField = Annotated[
    str, typer.Option(help="Where an event's time is; a.b is nested.", rich_help_panel=_INPUT)
]
TimestampFormat = Annotated[
    Literal["iso", "sql"],
    typer.Option(help="sql: 2018-01-01 00:00:00, in UTC.", rich_help_panel=_INPUT),
]
Key = Annotated[str, typer.Option(help="The field that is the key.", rich_help_panel=_INPUT)]
Reorder = Annotated[
    int,
    typer.Option(min=0, help="Events to look ahead to restore order.", rich_help_panel=_INPUT),
]
IsArchive = Annotated[
    bool,
    typer.Option("--archive", help="INPUT is our archive.", rich_help_panel=_INPUT),
]
InputRegion = Annotated[str, typer.Option(help="Of INPUT's bucket.", rich_help_panel=_INPUT)]
Statistics = Annotated[
    float, typer.Option(min=0.1, help="Seconds from line to line and state to state.")
]
IsDryRun = Annotated[
    bool, typer.Option("--dry-run", help="Read all, send nothing; how long would it take?")
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on after what is known as stored.")]
StateFile = Annotated[
    Path | None, typer.Option("--state", help="Where that is kept (in build/replay).")
]

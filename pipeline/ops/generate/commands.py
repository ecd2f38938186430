"""`streaming-etl generate`: a historical data set to replay."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from connectors.errors import UserError
from pipeline.ops.generate.history import Settings, trips
from pipeline.ops.generate.rhythm import Span
from pipeline.ops.generate.write_lines import CODECS, write_lines
from pipeline.ops.generate.write_tlc import write_tlc
from pipeline.options import JsonOption
from pipeline.progress import Steps

app = typer.Typer()
_MONTH = re.compile(r"(20\d\d)-(0[1-9]|1[0-2])")


def add_to(main: typer.Typer) -> None:
    """Make this command the main program's own, beside its others."""
    main.registered_commands.extend(app.registered_commands)


@app.command(epilog="Example: streaming-etl generate build/history --events 1000000 --compress zst")
def generate(
    folder: Annotated[Path, typer.Argument(help="A folder that is empty, or not there yet.")],
    events: Annotated[int, typer.Option(help="How many trips.", min=1)] = 1_000_000,
    form: Annotated[
        Literal["ndjson", "tlc"],
        typer.Option("--format", help="JSON lines, or Parquet files like TLC's own."),
    ] = "ndjson",
    compress: Annotated[str, typer.Option(help=f"JSON lines: {', '.join(CODECS)}.")] = "none",
    lines: Annotated[int, typer.Option("--lines", help="Of a file, at most.", min=1)] = 1_000_000,
    first_month: Annotated[str, typer.Option("--from", help="The first month.")] = "2017-12",
    months: Annotated[int, typer.Option(help="How many months.", min=1, max=120)] = 3,
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.", min=0)] = 2018,
    as_json: JsonOption = False,
) -> None:
    """Make a realistic data set of taxi trips: yellow, green and for-hire, in order of dropoff."""
    month = _MONTH.fullmatch(first_month)
    if month is None:
        raise UserError(f"--from is {first_month!r}; give a month of this century, 2018-01.")
    if compress not in CODECS:
        raise UserError(f"--compress is {compress!r}; allowed: {', '.join(CODECS)}.")
    if folder.exists() and any(folder.iterdir()):
        raise UserError(f"{folder} is not empty; give another folder, or empty it.")
    folder.mkdir(parents=True, exist_ok=True)
    span = Span.of(int(month[1]), int(month[2]), months)
    made = trips(Settings(events=events, seed=seed, span=span))
    steps = Steps(Console(stderr=True))
    with steps.step("generating", unit="trips", total=events) as progress:
        if form == "tlc":
            written = write_tlc(made, folder, progress=progress)
        else:
            written = write_lines(
                made, folder, compress=compress, lines_a_file=lines, progress=progress
            )
    size = sum(path.stat().st_size for path in written)
    report = {"events": events, "files": len(written), "bytes": size, "folder": str(folder)}
    if as_json:
        print(json.dumps(report))
    else:
        print(f"{events:,} trips in {len(written)} files of {size:,} bytes in {folder}")

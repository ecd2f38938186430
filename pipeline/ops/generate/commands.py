"""`streaming-etl generate`: make a historical data set to replay."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from connectors.errors import UserError
from pipeline.options import JsonOption

if TYPE_CHECKING:
    from pipeline.ops.generate.trips import Span

app = typer.Typer()
_MONTH = re.compile(r"20[0-9]{2}-(0[1-9]|1[0-2])")
_LINES = 1_000_000


def add_to(main: typer.Typer) -> None:
    """Add this command to the main program."""
    main.registered_commands.extend(app.registered_commands)


@app.command(epilog="Example: streaming-etl generate build/history --events 1000000 --compress zst")
def generate(
    folder: Annotated[Path, typer.Argument(help="A folder that is empty, or not there yet.")],
    events: Annotated[int, typer.Option(help="How many trips.", min=1)] = 1_000_000,
    form: Annotated[
        Literal["ndjson", "tlc"],
        typer.Option("--format", help="JSON lines, or Parquet files like TLC's own."),
    ] = "ndjson",
    compress: Annotated[
        Literal["none", "gz", "zst", "lz4", "bz2"], typer.Option(help="Of JSON lines.")
    ] = "none",
    lines: Annotated[int, typer.Option("--lines", help="Of a file, at most.", min=1)] = _LINES,
    first_month: Annotated[str, typer.Option("--from", help="The first month.")] = "2017-12",
    months: Annotated[int, typer.Option(help="How many months.", min=1, max=120)] = 3,
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.", min=0)] = 2018,
    as_json: JsonOption = False,
) -> None:
    """Make a realistic data set of taxi trips: yellow, green and for-hire, in order of dropoff."""
    from rich.console import Console

    from pipeline.ops.generate.trips import trips
    from pipeline.ops.generate.write import write_lines, write_tlc
    from pipeline.progress import Steps

    span = _span(first_month, months)
    if form == "tlc" and (compress != "none" or lines != _LINES):
        raise UserError("--compress and --lines are of JSON lines: leave them or --format tlc out.")
    steps = Steps(Console(stderr=True))
    try:
        if folder.exists() and any(folder.iterdir()):
            raise UserError(f"{folder} is not empty; give another folder, or empty it.")
        folder.mkdir(parents=True, exist_ok=True)
        blocks = trips(events, seed, span)
        with steps.step("generating", unit="trips", total=events) as progress:
            if form == "tlc":
                paths = write_tlc(blocks, folder, progress=progress)
            else:
                paths = write_lines(
                    blocks, folder, compress=compress, lines_a_file=lines, progress=progress
                )
    except OSError as error:
        reason = error.strerror or error
        raise UserError(f"{folder}: cannot be written ({reason}); give another folder.") from error
    size = sum(path.stat().st_size for path in paths)
    report = {"events": events, "files": len(paths), "bytes": size, "folder": str(folder)}
    if as_json:
        print(json.dumps(report))
    else:
        print(f"{events:,} trips in {len(paths)} files of {size:,} bytes in {folder}")


def _span(first: str, months: int) -> Span:
    """Return the months; UserError unless the job accepts all of their times."""
    from pipeline.decode import timestamps
    from pipeline.ops.generate.trips import Span

    if not _MONTH.fullmatch(first):
        raise UserError(f"--from is {first!r}; give a month of this century, 2018-01.")
    span = Span(first, months)
    latest = int(time.time() * 1000) + timestamps.AHEAD
    if span.first_ms < timestamps.EARLIEST or span.end_ms > latest:
        raise UserError(
            f"--from is {first} and --months {months}; the job refuses times before"
            f" {timestamps.text(timestamps.EARLIEST)[:7]} or more than a day in the future: give"
            " months between, 2018-01."
        )
    return span

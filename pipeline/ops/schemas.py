"""`streaming-etl schemas`: draft schemas, and say whether they may replace released ones."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer

from connectors.errors import UserError
from pipeline.options import ROOT, JsonOption
from pipeline.terminal import counted, printable

app = typer.Typer(no_args_is_help=True, help="Look after the schemas of the events.")


def add_to(main: typer.Typer) -> None:
    """Add the group `schemas` to the main program."""
    main.add_typer(app, name="schemas")


@app.command(epilog="Example: streaming-etl schemas check schemas --against schemas/released")
def check(
    folder: Annotated[Path, typer.Argument(help="The schemas to judge.")] = ROOT / "schemas",
    against: Annotated[
        Path | None,
        typer.Option(help="Those that data was written with; else FOLDER/released."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Exit 1 if schemas changed incompatibly with old files or old readers."""
    from pipeline.events.compatibility import changes
    from pipeline.events.event_types import load

    before = against or folder / "released"
    if not before.is_dir():
        raise UserError(
            f"--against: {before} is no folder; give the folder of the schemas that data was"
            " written with, or keep a copy of them there."
        )
    all_changes = list(changes(load(before), load(folder)))
    refused = sum(bool(change.refused) for change in all_changes)
    if as_json:
        print(json.dumps({"fine": not refused, "changes": list(map(asdict, all_changes))}))
    else:
        for change in all_changes:
            print(f"{'refused' if change.refused else 'allowed'}  {change}")
        print(f"{folder} against {before}: {len(all_changes)} changes, {refused} refused")
    raise typer.Exit(bool(refused))


@app.command(
    epilog="Example: streaming-etl schemas infer sample.jsonl --type reading > schemas/reading.avsc"
)
def infer(
    sample: Annotated[
        Path, typer.Argument(help="Events, a JSON object in each line; - for stdin.")
    ],
    event_type: Annotated[
        str, typer.Option("--type", help="The event type; the value of `type` by default.")
    ] = "",
    id_fields: Annotated[
        list[str] | None,
        typer.Option("--id", help="The field that is the id; repeat it for several."),
    ] = None,
    event_time: Annotated[str, typer.Option(help="The field that is the event's time.")] = "",
    version_time: Annotated[
        str, typer.Option(help="The field that orders versions; the event's time by default.")
    ] = "",
    limit: Annotated[int, typer.Option(min=1, help="Lines to read at most.")] = 100_000,
    as_json: JsonOption = False,
) -> None:
    """Print a draft of the schema of sample events; stderr says what to look at.

    Fill in the docs, and set what the sample cannot show: minimum, maximum, enum, pattern. Exit 1
    if something that a schema needs could not be decided.
    """
    from pipeline.ops.infer import drafter, seen
    from pipeline.validate import samples

    given = islice(samples((), [sample], sys.stdin.buffer), limit)
    lines = [each.raw for each in given if each.raw.strip()]
    found = seen.read(lines, event_type)
    roles = drafter.Roles(event_type, tuple(id_fields or ()), event_time, version_time)
    draft = drafter.infer(found.events, roles)
    left_out = [f"left out: {counted(found.bad, 'line')} without a JSON object"]
    notes = [*draft.notes, *(left_out if found.bad else [])]
    is_whole = None not in draft.schema.values()
    if is_whole:
        from pipeline.ops.infer.judge import judged

        notes += judged(draft, found.lines)
    if as_json:
        print(json.dumps({"schema": draft.schema, "notes": notes}))
    else:
        print(drafter.text(draft.schema), end="")
        for note in notes:
            typer.echo(printable(note), err=True)
    raise typer.Exit(not is_whole)

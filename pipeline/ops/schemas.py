"""`streaming-etl schemas`: whether schemas may replace released ones."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from connectors.errors import UserError
from pipeline.options import ROOT, JsonOption

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

"""`streaming-etl schemas`: whether schemas may replace released ones."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from connectors.errors import UserError
from pipeline.events.compatibility import Change, changes
from pipeline.events.event_types import load
from pipeline.options import ROOT, JsonOption

app = typer.Typer(no_args_is_help=True, help="Look after the schemas of the events.")


@app.callback()
def _group() -> None:
    """Look after the schemas of the events."""


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
    before = against or folder / "released"
    if not before.is_dir():
        raise UserError(
            f"--against: {before} is no folder; give the folder of the schemas that data was"
            " written with, or keep a copy of them there."
        )
    found = list(changes(load(before), load(folder)))
    refused = [each for each in found if each.refused]
    if as_json:
        told = {"fine": not refused, "changes": [asdict(each) for each in found]}
        print(json.dumps(told))
    else:
        _show(found, folder, before)
    raise typer.Exit(bool(refused))


def _show(found: list[Change], folder: Path, before: Path) -> None:
    for each in found:
        print(f"{'refused' if each.refused else 'allowed'}  {each}")
    refused = sum(1 for each in found if each.refused)
    print(f"{folder} against {before}: {len(found)} changes, {refused} refused")

"""The command `streaming-etl prepare`."""

from __future__ import annotations

import json
import os
from typing import Annotated

import typer

from pipeline.options import LOCAL, ConfigOption, JsonOption


def add_to(main: typer.Typer) -> None:
    """Add the command to the main program."""
    main.command("prepare", epilog="Example: streaming-etl prepare --config my.yaml --dry-run")(
        prepare_command
    )


def prepare_command(
    config: ConfigOption = LOCAL,
    partitions: Annotated[
        int, typer.Option(min=1, max=10_000, help="Of each topic that is made.")
    ] = 4,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what is missing.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Make the topics, streams, buckets and indices of the configuration that are not there yet.

    Exit 1 if something is left for you to make: on AWS, a bucket or stream.
    """
    from pipeline.config.load import load
    from pipeline.prepare import prepare

    rows = []
    for row in prepare(load(config), os.environ, partitions=partitions, dry_run=dry_run):
        rows.append(row)
        if not as_json:
            print(f"{row.kind} {row.name}: {row.state}{f': {row.command}' if row.command else ''}")
    if as_json:
        print(json.dumps([row._asdict() for row in rows]))
    raise typer.Exit(any(row.state == "yours" for row in rows) and not dry_run)

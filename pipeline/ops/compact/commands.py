"""The commands `streaming-etl compact` and `streaming-etl lake files`."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from connectors.errors import UserError
from pipeline.ops.compact.rules import TARGET_BYTES, Request
from pipeline.options import LOCAL, ConfigOption, DryRunOption, JsonOption
from pipeline.report_table import print_report

if TYPE_CHECKING:
    from pipeline.ops.systems import Systems

app = typer.Typer(no_args_is_help=True, help="Look at the lake.")
TypeOption = Annotated[
    list[str] | None, typer.Option(help="Only of this event type; repeatable.", metavar="TYPE")
]
PartitionOption = Annotated[
    list[str] | None,
    typer.Option(help="Only TYPE/NAME=VALUE/...; repeatable."),
]


def add_to(main: typer.Typer) -> None:
    """Add the commands to the main program."""
    main.command(epilog="Example: streaming-etl compact --event-type trip --dry-run")(compact)
    main.add_typer(app, name="lake")


def compact(
    config: ConfigOption = LOCAL,
    event_type: TypeOption = None,
    partition: PartitionOption = None,
    target: Annotated[
        int, typer.Option(min=1024, help="Bytes of a merged file; below half of it is small.")
    ] = TARGET_BYTES,
    min_files: Annotated[
        int, typer.Option(min=2, help="Leave a partition with fewer small files alone.")
    ] = 8,
    older_than: Annotated[
        float, typer.Option(min=0, help="Only files written so many seconds ago.")
    ] = 600.0,
    clean: Annotated[
        bool, typer.Option("--clean", help="Delete files that were replaced --grace ago, for good.")
    ] = False,
    grace: Annotated[
        float,
        typer.Option(
            min=60,
            help="Seconds that replaced files are kept: longer than any query, and than the age of"
            " any checkpoint that the job may start from.",
        ),
    ] = 86_400.0,
    manifests: Annotated[
        bool, typer.Option("--manifests", help="Write manifests for Athena, Trino and Hive.")
    ] = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Merge small files of the lake into large ones, while the job and readers go on.

    Every merged file is read back and compared before it counts. Exit 1 when one was not right.
    """
    from rich.console import Console

    from pipeline.ops.compact.run import Compaction
    from pipeline.ops.systems import systems
    from pipeline.progress import Steps

    configured = systems(config)
    work = Compaction(
        lake=configured.lake(configured.lake_path),
        store=configured.store(configured.lake_path),
        types=configured.types,
        request=Request(
            below=_below(configured, event_type or [], partition or []),
            target_bytes=target,
            min_files=min_files,
            older_than_seconds=older_than,
            clean=clean,
            grace_seconds=grace,
            manifests=manifests,
        ),
        steps=Steps(Console(stderr=True)),
    )
    report = work.plan() if dry_run else work.run()
    print_report({"dry_run": dry_run, **asdict(report)}, as_json=as_json)
    raise typer.Exit(bool(report.problems))


@app.command(epilog="Example: streaming-etl lake files --event-type trip --json")
def files(
    config: ConfigOption = LOCAL,
    event_type: TypeOption = None,
    partition: PartitionOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the files that the lake consists of now, for any reader that takes a list of files."""
    from pipeline.ops.compact.run import uri
    from pipeline.ops.systems import systems

    configured = systems(config)
    path = configured.lake_path
    current = [
        {"uri": uri(path, stored.path), "partition": listed.name, "bytes": stored.size}
        for below in _below(configured, event_type or [], partition or []) or ("",)
        for listed in configured.lake(path).partitions(below)
        for stored in listed.current()
    ]
    if as_json:
        print(json.dumps(current))
        return
    for file in current:
        print(file["uri"])


def _below(configured: Systems, event_types: list[str], partitions: list[str]) -> tuple[str, ...]:
    """Return the requested folders; none means the whole lake."""
    from pipeline.ops.lake.content import checked

    names = configured.types.names
    for folder in partitions:
        checked(folder, configured.types)
    for name in event_types:
        if name not in names:
            raise UserError(
                f"{name!r} is no event type of this configuration; it has {', '.join(names)}."
            )
    if event_types and partitions:
        raise UserError("give --event-type or --partition, not both: a partition names its type.")
    return tuple(dict.fromkeys((*event_types, *partitions)))

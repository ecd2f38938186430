"""The commands `streaming-etl compact` and `streaming-etl lake files`."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.console import Console

from connectors.errors import UserError
from pipeline.ops.compact.choose import TARGET_BYTES, Limits
from pipeline.ops.compact.manifests import uri
from pipeline.ops.compact.run import Compaction, Report, Request
from pipeline.ops.lake.content import checked
from pipeline.ops.systems import Systems, systems
from pipeline.options import LOCAL, ConfigOption, JsonOption
from pipeline.progress import Steps, lines

app = typer.Typer(no_args_is_help=True, help="Look at the lake.")
TypeOption = Annotated[
    list[str] | None, typer.Option(help="Only of this event type; repeatable.", metavar="TYPE")
]
PartitionOption = Annotated[
    list[str] | None,
    typer.Option(help="Only TYPE/pickup_location=NNN/year=YYYY/month=MM; repeatable."),
]
TargetOption = Annotated[
    int, typer.Option(min=1024, help="Bytes of a merged file; below half of it is small.")
]
MinFilesOption = Annotated[
    int, typer.Option(min=2, help="Leave a partition with fewer small files alone.")
]
OlderOption = Annotated[float, typer.Option(min=0, help="Only files written so many seconds ago.")]
CleanOption = Annotated[
    bool, typer.Option("--clean", help="Delete files that were replaced --grace ago, for good.")
]
GraceOption = Annotated[
    float,
    typer.Option(
        min=60,
        help="Seconds that replaced files are kept: longer than any query, and than the age of any"
        " checkpoint that the job may start from.",
    ),
]
ManifestsOption = Annotated[
    bool, typer.Option("--manifests", help="Write manifests for Athena, Trino and Hive.")
]


def add_to(main: typer.Typer) -> None:
    """Make the commands the main program's own."""
    main.command(epilog="Example: streaming-etl compact --event-type trip --dry-run")(compact)
    main.add_typer(app, name="lake")


def compact(
    config: ConfigOption = LOCAL,
    event_type: TypeOption = None,
    partition: PartitionOption = None,
    target: TargetOption = TARGET_BYTES,
    min_files: MinFilesOption = 8,
    older_than: OlderOption = 600.0,
    clean: CleanOption = False,
    grace: GraceOption = 86_400.0,
    manifests: ManifestsOption = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Merge small files of the lake into large ones, while the job and readers go on.

    Every merged file is read back and compared before it counts. Exit 1 when one was not right.
    """
    found = systems(config)
    work = Compaction(
        lake=found.lake(_lake(found)),
        store=found.store(_lake(found)),
        types=found.types,
        request=Request(
            below=_below(found, event_type or [], partition or []),
            limits=Limits(target_bytes=target, min_files=min_files, older_than_seconds=older_than),
            clean=clean,
            grace_seconds=grace,
            manifests=manifests,
        ),
        steps=Steps(Console(stderr=True)),
    )
    report = work.plan() if dry_run else work.run()
    _tell(report, dry_run=dry_run, as_json=as_json)
    raise typer.Exit(bool(report.problems))


@app.command(epilog="Example: streaming-etl lake files --event-type trip --json")
def files(
    config: ConfigOption = LOCAL,
    event_type: TypeOption = None,
    partition: PartitionOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the files that the lake consists of now, for any reader that takes a list of files."""
    found = systems(config)
    lake = _lake(found)
    below = _below(found, event_type or [], partition or []) or ("",)
    current = [
        {"uri": uri(lake, each.path), "partition": one.name, "bytes": each.size}
        for folder in below
        for one in found.lake(lake).partitions(folder)
        for each in one.current()
    ]
    if as_json:
        print(json.dumps(current))
        return
    for each in current:
        print(each["uri"])


def _lake(found: Systems) -> str:
    if found.config.lake is None:
        raise UserError("the configuration has no lake; give a section lake with its path.")
    return found.config.lake.path.rstrip("/")


def _below(found: Systems, event_types: list[str], partitions: list[str]) -> tuple[str, ...]:
    """The folders asked for; none means the whole lake."""
    for name in (*event_types, *(checked(each).partition("/")[0] for each in partitions)):
        if name not in found.types.names:
            allowed = ", ".join(found.types.names)
            raise UserError(f"{name!r} is no event type of this configuration; it has {allowed}.")
    if event_types and partitions:
        raise UserError("give --event-type or --partition, not both: a partition names its type.")
    return tuple(dict.fromkeys((*event_types, *partitions)))


def _tell(report: Report, *, dry_run: bool, as_json: bool) -> None:
    told = {"dry_run": dry_run, **report.as_dict()}
    if as_json:
        print(json.dumps(told))
        return
    for name, value in lines(told):
        print(f"{name}: {value}")

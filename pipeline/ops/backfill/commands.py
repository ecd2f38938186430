"""`streaming-etl backfill`: rebuild the lake from the archive, and swap partitions."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any, NoReturn

import typer

from connectors.errors import UserError
from pipeline.options import LOCAL, ROOT, ConfigOption, DryRunOption, JsonOption
from pipeline.report_table import print_report

app = typer.Typer(
    no_args_is_help=True,
    help=(
        "Rebuild the lake from the archive beside the live one, then swap partitions in."
        " The old files are kept until you confirm."
    ),
)
_NAME = re.compile(r"[a-z][a-z0-9-]{0,62}")
NameOption = Annotated[str, typer.Option(help="Of this backfill; of letters, digits and dashes.")]


def add_to(main: typer.Typer) -> None:
    """Add this group of commands to the main program."""
    main.add_typer(app, name="backfill")


@app.command(epilog="Example: streaming-etl backfill rebuild --into s3a://lake/rebuilt --dry-run")
def rebuild(
    into: Annotated[str, typer.Option(help="An empty place beside the lake, s3a://bucket/prefix.")],
    config: ConfigOption = LOCAL,
    since: Annotated[
        str | None, typer.Option("--from", help="First arrival time, 2018-01-01T00:00:00Z.")
    ] = None,
    until: Annotated[str | None, typer.Option(help="Arrival time to stop before.")] = None,
    index: Annotated[bool, typer.Option("--index", help="Fill the index too.")] = False,
    parallelism: Annotated[
        int | None, typer.Option(help="Slots to take; as the main job where left out.", min=1)
    ] = None,
    name: NameOption = "",
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Feed archived records through the same job into a fresh prefix, and verify it.

    Exit 1 when the rebuilt lake lacks something or has something twice.
    """
    from rich.console import Console

    from pipeline.ops.backfill.rebuild import Rebuild
    from pipeline.ops.reconcile.options import instant
    from pipeline.ops.systems import systems
    from pipeline.progress import Steps

    work = Rebuild(
        systems=systems(config),
        path=config,
        folder=ROOT / "build" / "backfill",
        steps=Steps(Console(stderr=True)),
        name=_name(name),
        into=into.rstrip("/"),
        index=index,
        parallelism=parallelism,
        start_ms=instant("--from", since),
        end_ms=instant("--until", until),
    )
    _announce(work.plan())
    if dry_run:
        print_report({"name": work.name, **work.count()}, as_json=as_json)
        return
    _end(work.run(), as_json=as_json)


@app.command(
    epilog="Example: streaming-etl backfill swap --rebuilt s3a://lake/rebuilt"
    " --partition orders/day=2018-01-31 --dry-run"
)
def swap(
    rebuilt: Annotated[str, typer.Option(help="Where `rebuild` put it.")],
    partition: Annotated[list[str], typer.Option(help="TYPE/NAME=VALUE/...; repeatable.")],
    config: ConfigOption = LOCAL,
    name: NameOption = "",
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Put rebuilt partitions in the place of live ones; refuses one that would lose a row.

    For a moment a reader may see a partition twice. Exit 1 when a partition was refused.
    """
    from pipeline.ops.backfill.swap import Swap
    from pipeline.ops.lake.content import checked
    from pipeline.ops.systems import systems

    configured = systems(config)
    work = Swap(configured, _name(name))
    compared = [work.compare(rebuilt, checked(each, configured.types)) for each in partition]
    problems = [text for comparison in compared for text in comparison.problems(work.topics)]
    _announce([] if problems else work.plan(compared))
    if not dry_run and not problems:
        problems = work.switch(rebuilt, compared)
    report = {
        "name": work.name,
        "partitions": {comparison.partition: comparison.counts() for comparison in compared},
        "kept": work.old_files,
        "swapped": not dry_run and not problems,
        "problems": problems,
    }
    _end(report, as_json=as_json)


@app.command(epilog="Example: streaming-etl backfill resume backfill-20180101-000000")
def resume(
    name: Annotated[str, typer.Argument(help="Of the swap.")],
    config: ConfigOption = LOCAL,
    as_json: JsonOption = False,
) -> None:
    """Go on with a swap that was broken off."""
    from pipeline.ops.backfill.swap import Swap
    from pipeline.ops.systems import systems

    problems = Swap(systems(config), _name(name)).go_on()
    _end({"name": name, "problems": problems}, as_json=as_json)


@app.command(epilog="Example: streaming-etl backfill undo backfill-20180101-000000")
def undo(
    name: Annotated[str, typer.Argument(help="Of the swap.")],
    config: ConfigOption = LOCAL,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Put the old files back in the place of the rebuilt ones."""
    from pipeline.ops.backfill.swap import Swap
    from pipeline.ops.systems import systems

    work = Swap(systems(config), _name(name))
    _announce(work.plan_undo())
    if not dry_run:
        work.undo()
    print_report({"name": name, "undone": not dry_run}, as_json=as_json)


@app.command(epilog="Example: streaming-etl backfill confirm backfill-20180101-000000")
def confirm(
    name: Annotated[str, typer.Argument(help="Of the swap.")],
    config: ConfigOption = LOCAL,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Delete the old files that a swap kept."""
    from pipeline.ops.backfill.swap import Swap
    from pipeline.ops.systems import systems

    work = Swap(systems(config), _name(name))
    _announce(work.plan_confirm())
    print_report({"name": name, "deleted": 0 if dry_run else work.confirm()}, as_json=as_json)


def _name(requested: str) -> str:
    """Return the name of the topic, the job and the folder; by default, derive it from the time."""
    name = requested or f"backfill-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    if not _NAME.fullmatch(name):
        raise UserError(f"the name {name!r} is not of lower-case letters, digits and dashes.")
    return name


def _announce(plan: list[str]) -> None:
    """Print what will be done to stderr: stdout is for programs."""
    for line in plan:
        typer.echo(f"will {line}", err=True)


def _end(report: dict[str, Any], *, as_json: bool) -> NoReturn:
    print_report(report, as_json=as_json)
    raise typer.Exit(bool(report["problems"]))

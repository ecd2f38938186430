"""The command `streaming-etl reconcile`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from pipeline.options import LOCAL, ConfigOption, JsonOption
from pipeline.progress import Steps


def add_to(main: typer.Typer) -> None:
    """Add the command to the main program."""
    main.command(
        epilog="Example: streaming-etl reconcile --config conf/local.yaml --out findings.json"
    )(reconcile)


RangeOption = Annotated[
    list[str] | None,
    typer.Option(
        "--range",
        help="Only these positions, ends included and either may be left out:"
        " trips/0@100..200; may be repeated.",
    ),
]
SettleOption = Annotated[
    float | None,
    typer.Option(
        min=0,
        help="For how many seconds to look again for what is missing; else as long as rows may"
        " be collected before they are in a file.",
    ),
]
OutOption = Annotated[
    Path | None, typer.Option(help="Write JSON with all positions into this file.")
]
HtmlOption = Annotated[
    Path | None, typer.Option(help="Write the report as one HTML page into this file.")
]


def reconcile(
    config: ConfigOption = LOCAL,
    range_: RangeOption = None,
    since: Annotated[
        str | None, typer.Option(help="Only what arrived from then on: 2018-01-01T00:00:00Z.")
    ] = None,
    until: Annotated[str | None, typer.Option(help="Only what arrived before then.")] = None,
    complete: Annotated[
        bool,
        typer.Option("--complete", help="The job is stopped or drained: judge to the end."),
    ] = False,
    from_archive: Annotated[
        bool,
        typer.Option("--from-archive", help="Take the archive for the truth, not the source."),
    ] = False,
    values: Annotated[
        bool, typer.Option(help="Compare the values of rows, not only where they are.")
    ] = True,
    settle: SettleOption = None,
    show: Annotated[
        int, typer.Option(min=1, help="How many positions of each finding to name.")
    ] = 10,
    out: OutOption = None,
    html: HtmlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Prove that what is in the source is in every sink once, or name what isn't.

    Reads only, and without the job. On a running job judges what completed checkpoints cover.
    Exit 1 if anything is missing, doubled, misplaced, wrong or unexpected.
    """
    from pipeline.ops.reconcile.options import Options, instant, span
    from pipeline.ops.reconcile.run import reconcile as compare
    from pipeline.ops.systems import systems

    options = Options(
        spans=tuple(map(span, range_ or ())),
        since=instant("--since", since),
        until=instant("--until", until),
        complete=complete,
        from_archive=from_archive,
        values=values,
        settle_seconds=settle,
    )
    report = compare(systems(config), options, Steps(Console(stderr=True)))
    if out:
        report.write(out)
    if html:
        _write_page(html, f"{config}, {options.sentence()}", report.as_dict(show))
    if as_json:
        print(json.dumps(report.as_dict(show)))
    else:
        report.show(Console(), show)
    raise typer.Exit(not report.ok)


def _write_page(path: Path, about: str, report: Mapping[str, Any]) -> None:
    from pipeline.ops.page.data import Page, facts, reconciled
    from pipeline.ops.page.html import write

    outcome = reconciled(report)
    write(
        Page(
            title="Reconciliation",
            about=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {about}",
            facts=facts(outcome),
            reconciled=outcome,
            problems=outcome.problems,
        ),
        path,
    )

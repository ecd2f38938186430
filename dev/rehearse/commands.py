"""The command `python -m dev rehearse`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from pipeline.options import ROOT, JsonOption


def rehearse(
    keep: Annotated[bool, typer.Option("--keep", help="Leave the servers up.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Rehearse the deployment on local servers: template, package, faults and alarms, upgrade.

    Prints what was proved and how, and writes it to build/rehearsal-report.json. Exit 1 if
    something did not hold.
    """
    from dev.rehearse.run import REPORT
    from dev.rehearse.run import rehearse as run

    ok = run(ROOT, keep=keep, console=Console(stderr=as_json))
    if as_json:
        print((ROOT / REPORT).read_text(encoding="utf-8"), end="")
    raise typer.Exit(not ok)

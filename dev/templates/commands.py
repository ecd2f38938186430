"""The commands `template`, files that are written from the code, and `take-over`."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated

import typer

from connectors.errors import UserError
from connectors.text_files import masked
from pipeline.options import ROOT, JsonOption


def template(
    write: Annotated[bool, typer.Option("--write", help="Rewrite the files that differ.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Check the generated parts of the CloudFormation template, the dashboards, Prometheus' rules,
    docs/alarms.md and docs/cost.md.

    Run it after a change of schemas/, the alarms, the panels or the prices. Exit 1 if a file
    differs from the code and --write is not given.
    """
    from dev.templates.derived import derived_files
    from pipeline.events.event_types import load

    wanted = derived_files(ROOT, load(ROOT / "schemas"))
    differing = [path for path, text in wanted.items() if _text(ROOT / path) != text]
    for path in differing if write else ():
        (ROOT / path).write_text(wanted[path], encoding="utf-8")
    done = "written" if write else "differs; say --write"
    lines = [f"{path}: {done}" for path in differing] or ["all are equal to the code"]
    listed = {"differing": [str(path) for path in differing], "written": write}
    print(json.dumps(listed) if as_json else "\n".join(lines))
    raise typer.Exit(bool(differing) and not write)


def take_over(
    account: Annotated[str, typer.Option(help="Number of the account, 12 digits.")],
    region: Annotated[str, typer.Option(help="Region of the stack.")],
    parameter: Annotated[
        list[str] | None, typer.Option(help="NAME=VALUE, as the deleted stack had it; repeatable.")
    ] = None,
) -> None:
    """Print the stack with the names of what a deleted stack left, so that it can be imported.

    docs/operate-on-aws.md has the commands that use it.
    """
    from dev.templates.take_over import take_over as taken_over
    from pipeline.deploy.cost.stack import named

    for value, form, what in (
        (account, r"\d{12}", "--account is {}; give its 12 digits."),
        (region, r"[a-z]{2}(-[a-z]+)+-\d", "--region is {}; give one such as eu-west-1."),
    ):
        if not re.fullmatch(form, value):
            raise UserError(what.format(masked(value)))
    parameters = dict(named(parameter or (), "--parameter"))
    print(taken_over(ROOT, parameters, account=account, region=region))


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""

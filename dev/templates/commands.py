"""The command `python -m dev template`: files that are written from the code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

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


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""

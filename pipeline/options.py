"""Options that many commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ROOT = Path(__file__).parents[1]
LOCAL = ROOT / "conf" / "local.yaml"

ConfigOption = Annotated[Path, typer.Option("--config", "-c", help="The YAML file.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Print what would be done; change nothing.")
]

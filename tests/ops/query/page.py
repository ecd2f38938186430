"""The programs of docs/query.md, and how they are run."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.ops.query.command import Query

ROOT = Path(__file__).parents[3]
SPARK = ROOT / ".venv-bench" / "bin" / "python"
_PAGE = (ROOT / "docs" / "query.md").read_text()


def section(name: str) -> str:
    """A section of the page."""
    (text,) = re.findall(rf"^## {name}\n(.*?)(?=^## |\Z)", _PAGE, re.DOTALL | re.MULTILINE)
    return str(text)


def blocks(name: str, language: str) -> list[str]:
    """The code of a section of the page."""
    return re.findall(rf"^```{language}\n(.*?)^```", section(name), re.DOTALL | re.MULTILINE)


def python(program: str, query: Query, interpreter: Path = Path(sys.executable)) -> str:
    """What a program prints."""
    done = subprocess.run(
        [str(interpreter), "-c", program],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        cwd=query.folder,
        env=query.environment,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout

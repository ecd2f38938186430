"""The README's quick start and the example, walked as written: on a terminal, with own servers.

Each ```sh block of the page is run by one bash, in a copy of the checkout. A ```text block after it
has lines that the reader sees, with `...` for what differs from time to time.
"""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import pytest

from dev.servers.process import INHERITED

ROOT = Path(__file__).parents[2]
SECONDS = 900
DONE = "@@ done"
FREE = re.compile(r"(\.\.\.|\s+)")
"""What of an expected line may differ: dots stand for any text, a space for any space."""
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Step(NamedTuple):
    """A block of commands, and lines that they print in this order."""

    commands: str
    expected: list[str]


def quick_start() -> list[Step]:
    page = (ROOT / "README.md").read_text()
    return steps_of(page.partition("## Quick start\n")[2].partition("\n## ")[0])


def example() -> list[Step]:
    return steps_of((ROOT / "examples" / "readings" / "README.md").read_text())


def steps_of(part: str) -> list[Step]:
    blocks = re.findall(r"```sh\n(.*?)```(?:\s*```text\n(.*?)```)?", part, re.DOTALL)
    return [Step(commands, expected.splitlines()) for commands, expected in blocks]


@pytest.mark.server
@pytest.mark.parametrize("read_steps", [quick_start, example])
def test_the_commands_of_a_page_do_what_it_says(
    read_steps: Callable[[], list[Step]], tmp_path: Path
) -> None:
    steps, checkout = read_steps(), copied(tmp_path / "checkout")
    script = tmp_path / "quick-start.sh"
    script.write_text("set -e\n" + "".join(f"{step.commands}echo '{DONE}'\n" for step in steps))
    with servers_end(checkout):
        code, shown = on_a_terminal(["bash", str(script)], checkout)
    *parts, rest = re.split(f"^{DONE}\n", shown, flags=re.MULTILINE)
    assert (code, len(parts)) == (0, len(steps)), f"after {len(parts)} blocks: {rest[-4000:]}"
    for step, part in zip(steps, parts, strict=True):
        assert unseen(step.expected, part) == [], part


@pytest.mark.parametrize("read_steps", [quick_start, example])
def test_every_part_of_a_page_is_read(read_steps: Callable[[], list[Step]]) -> None:
    steps = read_steps()
    assert (steps[0].commands.split()[:2], steps[-1].commands) == (["make", "up"], "make down\n")
    assert [step for step in steps if not step.commands.strip()] == []
    assert sum(bool(step.expected) for step in steps) >= 2


def test_dots_and_spaces_fit_what_differs() -> None:
    shown = "topic trips: made\nsubmitted as 4d31; look at http://127.0.0.1:56/#/job\n  rows  17\n"
    assert unseen(["trips: made", "as ...; look at http://127.0.0.1:...", "rows 17"], shown) == []
    assert unseen(["rows 17", "topic trips: made"], shown) == ["topic trips: made"]
    assert unseen(["topic trips: exists"], shown) == ["topic trips: exists"]


def unseen(expected: list[str], shown: str) -> list[str]:
    """The expected lines that are not shown, or not in this order."""
    lines = iter(shown.splitlines())
    return [each for each in expected if not any(line_like(each, line) for line in lines)]


def line_like(expected: str, line: str) -> bool:
    wild = [
        ".*" if part == "..." else r"\s+" if part.isspace() else re.escape(part)
        for part in FREE.split(expected)
    ]
    return re.search("".join(wild), line) is not None


def copied(checkout: Path) -> Path:
    """A copy of the checkout with what is installed, but with servers and files of its own."""
    unwanted = shutil.ignore_patterns(".*", "build", "__pycache__", "*.egg-info")
    shutil.copytree(ROOT, checkout, ignore=unwanted)
    for installed in (".venv", ".cache"):
        (checkout / installed).symlink_to((ROOT / installed).resolve())
    stamp = (ROOT / ".venv" / ".installed").stat().st_mtime_ns
    for listed in ("pyproject.toml", "conf/requirements.lock"):
        # Exactly the same time, or make installs into the shared .venv.
        os.utime(checkout / listed, ns=(stamp, stamp))
    return checkout


def environment() -> Mapping[str, str]:
    """What a reader's shell has; make takes FREE_PORTS from it, for other servers may be up."""
    ours = {name: os.environ[name] for name in INHERITED if name in os.environ}
    return ours | {"FREE_PORTS": "1", "TERM": "xterm", "COLUMNS": "120", "LINES": "50"}


@contextmanager
def servers_end(checkout: Path) -> Iterator[None]:
    try:
        yield
    finally:
        subprocess.run(["make", "down"], cwd=checkout, env=environment(), check=True)


def on_a_terminal(command: list[str], folder: Path) -> tuple[int | None, str]:
    """Run a command as in a terminal; return its exit code and what was shown, without colours.

    None if it did not end in time; it is killed then, with what it left in the background.
    """
    ours, theirs = pty.openpty()
    shell = subprocess.Popen(
        command,
        cwd=folder,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    shown = b"".join(read(ours, shell, time.monotonic() + SECONDS))
    os.close(ours)
    code = shell.poll()
    with suppress(ProcessLookupError):
        os.killpg(shell.pid, signal.SIGKILL)
    shell.wait()
    return code, CONTROL.sub("", shown.decode(errors="replace").replace("\r", "\n")).replace(
        "\n\n", "\n"
    )


def read(terminal: int, shell: subprocess.Popen[bytes], deadline: float) -> Iterator[bytes]:
    """Yield what is shown until the shell has ended and all of it is read, or time is up."""
    while time.monotonic() < deadline:
        if select.select([terminal], [], [], 0.5)[0]:
            with suppress(OSError):  # Linux's way to say that nobody has the terminal open
                if part := os.read(terminal, 65536):
                    yield part
                    continue
        if shell.poll() is not None:
            return

"""Check a compose file as `docker compose config` does, where no Docker is.

The program in dev/servers/compose is a few lines around compose-go, the loader that docker compose
itself is made with. To build docker compose 2.40.3 took 244 s of a processor, and this takes 26 s.
Both took docker-compose.yml, and refused it with each of the seven mistakes of its test.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from connectors import local_files as lock
from dev.servers import prerequisites
from dev.servers.cache import ServerCache
from pipeline.deploy.builds import Part, Say, bring_up_to_date, checkout, run
from pipeline.deploy.prerequisites import Prerequisite

_SOURCE: Final = Path(__file__).with_name("compose")
_GO: Final = Prerequisite(prerequisites.go_problem, "install Go from https://go.dev/dl")


def setup(root: Path, *, say: Say) -> Path:
    """Build the program with Go if that has not been done, and return its path.

    Raises:
        UserError: Go is absent or too old, or cannot fetch a module of go.sum.
    """
    cache = ServerCache(checkout(root).root)
    part = Part(
        "compose", "building the check of docker-compose.yml with Go",
        "".join(file.read_text("utf-8") for file in sorted(_SOURCE.iterdir())),
        cache.compose, lambda: _build(cache.compose), (_GO,),
    )  # fmt: skip
    with lock.waiting(cache.directory / "lock"):
        bring_up_to_date(cache, say, [part])
    return cache.compose


def check(program: Path, file: Path) -> None:
    """Load a compose file with all its profiles; UserError with what is wrong in it."""
    run([str(program), str(file)])


def _build(program: Path) -> None:
    program.parent.mkdir(parents=True, exist_ok=True)
    run(
        ["go", "build", "-C", str(_SOURCE), "-trimpath", "-buildvcs=false", "-o", str(program), "."]
    )

"""Builds of a checkout, kept in `.cache`: each is made once, from inputs whose hash is its stamp.

A build whose stamp and files are in place is skipped, so that everything works offline from the
second run on.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from connectors.errors import UserError
from connectors.local_files import waiting
from pipeline.deploy.prerequisites import (
    JAVA,
    JAVAC,
    LINUX,
    MAVEN,
    PYTHON_3_11,
    Prerequisite,
    require,
)

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Cache:
    """The paths of a checkout's builds."""

    root: Path

    @property
    def directory(self) -> Path:
        """The cache itself; deleting it costs nothing but the next set-up's time."""
        return self.root / ".cache"

    @property
    def pom(self) -> Path:
        """All versions of jars and servers."""
        return self.root / "connectors" / "pom.xml"

    @property
    def java_sources(self) -> list[Path]:
        """Our own classes in the connectors' jar."""
        return sorted((self.pom.parent / "src").rglob("*.java"))

    @property
    def connectors_jar(self) -> Path:
        """The one jar with every connector of the job, and our own classes."""
        return self.directory / "jars" / "streaming-etl-connectors.jar"

    @property
    def stamps(self) -> Path:
        """One file per finished part: the hash of what it was made from."""
        return self.directory / "stamps"


@dataclass(frozen=True, slots=True)
class Part:
    """One thing in the cache: `build` makes `output`, which is valid until `inputs` change."""

    name: str
    what: str
    inputs: str
    output: Path
    build: Callable[[], None]
    needs: tuple[Prerequisite, ...] = ()

    @property
    def digest(self) -> str:
        """The hash of the inputs."""
        return hashlib.sha256(self.inputs.encode()).hexdigest()


def setup_connectors(root: Path, *, say: Say) -> Cache:
    """Bring the job's own jar up to date and return the cache; no server is fetched."""
    cache = checkout(root)
    with waiting(cache.directory / "lock"):
        bring_up_to_date(cache, say, [connectors_part(cache)])
    return cache


def checkout(root: Path) -> Cache:
    """Return the cache of a checkout; UserError if `root` is none."""
    cache = Cache(root.resolve())
    if not cache.pom.is_file():
        raise UserError(f"{cache.root} is not a checkout of this project: no connectors/pom.xml")
    return cache


def bring_up_to_date(cache: Cache, say: Say, wanted: list[Part]) -> None:
    """Check the prerequisites of what is stale, all at once, then build it."""
    stale = [part for part in wanted if not is_current(cache, part)]
    needs = dict.fromkeys(need for part in stale for need in part.needs)
    require(LINUX, PYTHON_3_11, JAVA, *needs)
    for part in stale:
        say(f"{part.what} ...")
        part.build()
        write_stamp(cache, part)
    say("set-up: nothing to do" if not stale else f"set-up: done, in {cache.directory}")


def connectors_part(cache: Cache) -> Part:
    """Return the jar with every connector of the job; Maven writes it straight into the cache."""
    inputs = "".join(path.read_text("utf-8") for path in (cache.pom, *cache.java_sources))
    return Part(
        "connectors", "building the connectors' jar with Maven", inputs,
        cache.connectors_jar, lambda: maven(cache, "package"), (MAVEN, JAVAC),
    )  # fmt: skip


def is_current(cache: Cache, part: Part) -> bool:
    """Return whether the part exists and was made from the same inputs."""
    stamp = cache.stamps / part.name
    return stamp.is_file() and part.output.exists() and stamp.read_text("utf-8") == part.digest


def write_stamp(cache: Cache, part: Part) -> None:
    """Record that the part is whole; last, so that an interrupted build is done again."""
    cache.stamps.mkdir(parents=True, exist_ok=True)
    (cache.stamps / part.name).write_text(part.digest, "utf-8")


def maven(cache: Cache, *arguments: str) -> None:
    """Run Maven in batch mode on our pom."""
    run(["mvn", "-B", "-ntp", "-q", "-f", str(cache.pom), *arguments])


def run(command: list[str], **environment: str) -> None:
    """Run a build command quietly; UserError with the end of its output if it fails."""
    done = subprocess.run(
        command,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        output = "\n".join(done.stdout.splitlines()[-20:])
        raise UserError(f"{' '.join(command)}\nfailed with exit code {done.returncode}:\n{output}")

"""Builds of a checkout, kept in `.cache`: each is made once, from inputs whose hash is its stamp.

A build whose stamp and files are in place is skipped, so that everything works offline from the
second run on.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from connectors.errors import UserError
from connectors.local_files import waiting
from pipeline.deploy import prerequisites

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
    def connectors_jar(self) -> Path:
        """The one jar with every connector of the job."""
        return self.directory / "jars" / "streaming-etl-connectors.jar"

    @property
    def wheels(self) -> Path:
        """A folder of wheels for each content of the lock, for the package."""
        return self.directory / "wheels"

    @property
    def stamps(self) -> Path:
        """One file per finished part, holding the hash of what it was made from."""
        return self.directory / "stamps"


@dataclass(frozen=True, slots=True)
class Part:
    """One thing in the cache: `inputs` decide whether `output` is still good, `build` makes it."""

    name: str
    what: str
    inputs: str
    output: Path
    build: Callable[[], None]
    needs: tuple[prerequisites.Prerequisite, ...] = ()


def setup_connectors(root: Path, *, say: Say) -> Cache:
    """As `setup`, but of the job's own jar alone: no server is fetched."""
    cache = checkout(root)
    with waiting(cache.directory / "lock"):
        bring_up_to_date(cache, say, [connectors_part(cache)])
    return cache


def checkout(root: Path) -> Cache:
    """The cache of a checkout; UserError where there is none."""
    cache = Cache(root.resolve())
    if not cache.pom.is_file():
        raise UserError(f"{cache.root} is not a checkout of this project: no connectors/pom.xml")
    return cache


def bring_up_to_date(cache: Cache, say: Say, wanted: list[Part]) -> None:
    """Check the prerequisites of what is stale, all at once, then build it."""
    stale = [part for part in wanted if not is_current(cache, part)]
    needs = dict.fromkeys(need for part in stale for need in part.needs)
    always = (prerequisites.LINUX, prerequisites.PYTHON_3_11, prerequisites.JAVA)
    prerequisites.require(*always, *needs)
    for part in stale:
        say(f"{part.what} ...")
        part.build()
        write_stamp(cache, part)
    say("set-up: nothing to do" if not stale else f"set-up: done, in {cache.directory}")


def connectors_part(cache: Cache) -> Part:
    """The one jar with every connector of the job."""
    return Part(
        "connectors", "building the connectors' jar with Maven", cache.pom.read_text("utf-8"),
        cache.connectors_jar, lambda: package_connectors(cache), (prerequisites.MAVEN,),
    )  # fmt: skip


def pom_property(pom: str, name: str) -> str:
    """The value of one of the pom's properties."""
    found = re.search(rf"<{re.escape(name)}>([^<]+)<", pom)
    if found is None:
        raise UserError(f"connectors/pom.xml has no property {name}")
    return found.group(1)


def is_current(cache: Cache, part: Part) -> bool:
    """Whether the part is there and was made from the same inputs."""
    stamp = cache.stamps / part.name
    return stamp.is_file() and part.output.exists() and stamp.read_text("utf-8") == digest(part)


def write_stamp(cache: Cache, part: Part) -> None:
    """Record that the part is whole; last, so that an interrupted build is done again."""
    cache.stamps.mkdir(parents=True, exist_ok=True)
    (cache.stamps / part.name).write_text(digest(part), "utf-8")


def digest(part: Part) -> str:
    """The hash of what a part is made from."""
    return hashlib.sha256(part.inputs.encode()).hexdigest()


def package_connectors(cache: Cache) -> None:
    """Build the uber-jar; Maven writes it straight into the cache."""
    maven(cache, "package")


def maven(cache: Cache, *arguments: str) -> None:
    """Run Maven in batch mode on our pom."""
    run(["mvn", "-B", "-ntp", "-q", "-f", str(cache.pom), *arguments])


def run(command: list[str], **environment: str) -> None:
    """Run a build command to its end, quietly; a failure shows the end of what it said."""
    done = subprocess.run(
        command,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        said = "\n".join(done.stdout.splitlines()[-20:])
        raise UserError(f"{' '.join(command)}\nfailed with exit code {done.returncode}:\n{said}")

"""Fetch and build what the local servers run from, once; a second run finds it all and does
nothing.

Each part carries a stamp, the hash of what it was made from. A part whose stamp and files are in
place is skipped without running Maven, Go or npm, so that set-up works offline from the second run
on.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from connectors import file_lock as lock
from connectors.errors import UserError
from dev.servers import flink_home, kinesis, prerequisites
from dev.servers.cache import Cache

Say = Callable[[str], None]

VERSITYGW_MODULE = "github.com/versity/versitygw/cmd/versitygw"
PROFILES = {"kafka": "kafka-server", "opensearch": "opensearch-server", "s3-plugin": "s3-plugin"}


@dataclass(frozen=True, slots=True)
class Part:
    """One thing in the cache: `inputs` decide whether `output` is still good, `build` makes it."""

    name: str
    what: str
    inputs: str
    output: Path
    build: Callable[[], None]
    needs: tuple[prerequisites.Prerequisite, ...] = ()


def setup(root: Path, *, say: Say, servers: tuple[str, ...] | None = None) -> Cache:
    """Bring the cache up to date and return it; idempotent.

    `servers` are those about to start: the Kinesis server is fetched when it is one of them.
    Without them it is fetched where Node is there to run it.

    Raises UserError naming everything that the machine lacks, or the command that failed with the
    end of what it said.
    """
    cache = checkout(root)
    with lock.waiting(cache.directory / "lock"):
        bring_up_to_date(cache, say, parts(cache, say, servers))
    return cache


def setup_connectors(root: Path, *, say: Say) -> Cache:
    """As `setup`, but of the job's own jar alone: no server is fetched."""
    cache = checkout(root)
    with lock.waiting(cache.directory / "lock"):
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
    prerequisites.require(prerequisites.PYTHON_3_11, prerequisites.JAVA, *needs)
    for part in stale:
        say(f"{part.what} ...")
        part.build()
        write_stamp(cache, part)
    say("set-up: nothing to do" if not stale else f"set-up: done, in {cache.directory}")


def parts(cache: Cache, say: Say, servers: tuple[str, ...] | None) -> list[Part]:
    """Everything the cache holds, in the order of building."""
    pom = cache.pom.read_text("utf-8")
    maven = (prerequisites.MAVEN,)
    jars = [
        Part(
            name, f"fetching {name}'s jars with Maven", pom, cache.jars(name),
            lambda name=name: copy_jars(cache, name), maven,  # type: ignore[misc]
        )
        for name in PROFILES
    ]  # fmt: skip
    flink = Part(
        "flink", "assembling the Flink distribution", pom + flink_home.inputs(), cache.flink_home,
        lambda: flink_home.assemble(cache),
    )  # fmt: skip
    own = [*s3_parts(cache, pom, say), *kinesis_parts(cache, pom, say, servers)]
    return [connectors_part(cache), *jars, flink, *own]


def connectors_part(cache: Cache) -> Part:
    """The one jar with every connector of the job."""
    return Part(
        "connectors", "building the connectors' jar with Maven", cache.pom.read_text("utf-8"),
        cache.connectors_jar, lambda: package_connectors(cache), (prerequisites.MAVEN,),
    )  # fmt: skip


def s3_parts(cache: Cache, pom: str, say: Say) -> list[Part]:
    """The S3 server, unless Go is absent and moto is there to stand in."""
    version = pom_property(pom, "versitygw.version")
    part = Part(
        "versitygw", f"building the S3 server versitygw {version} with Go (1-3 minutes)", version,
        cache.versitygw, lambda: install_versitygw(cache, version), (prerequisites.S3,),
    )  # fmt: skip
    if not is_current(cache, part) and not shutil.which("go") and not prerequisites.s3_problem():
        say("Go was not found: moto takes versitygw's place as the S3 server (slower, in memory)")
        return []
    return [part]


def kinesis_parts(cache: Cache, pom: str, say: Say, servers: tuple[str, ...] | None) -> list[Part]:
    """The Kinesis server, where it is wanted or where Node is there to run it."""
    version = pom_property(pom, "kinesis.local.version")
    integrity = pom_property(pom, "kinesis.local.integrity")
    part = Part(
        "kinesis", f"fetching the Kinesis server {kinesis.PACKAGE} {version} with npm",
        f"{version} {integrity} {kinesis.RECORD_HASH_KEPT}", cache.kinesis,
        lambda: install_kinesis(cache.kinesis, version, integrity), (prerequisites.NODE,),
    )  # fmt: skip
    if servers is not None:
        return [part] if "kinesis" in servers else []
    problem = prerequisites.node_problem()
    if problem and not is_current(cache, part):
        say(f"without the Kinesis server: {problem}; {prerequisites.NODE.remedy}")
        return []
    return [part]


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


def copy_jars(cache: Cache, name: str) -> None:
    """Copy one profile's jars into a folder that holds nothing else."""
    folder = cache.jars(name)
    shutil.rmtree(folder, ignore_errors=True)
    maven(
        cache, "-P", PROFILES[name], "dependency:copy-dependencies", f"-DoutputDirectory={folder}"
    )


def maven(cache: Cache, *arguments: str) -> None:
    """Run Maven in batch mode on our pom."""
    run(["mvn", "-B", "-ntp", "-q", "-f", str(cache.pom), *arguments])


def install_versitygw(cache: Cache, version: str) -> None:
    """Build the S3 server into the cache's bin folder."""
    binaries = cache.versitygw.parent
    binaries.mkdir(parents=True, exist_ok=True)
    run(["go", "install", f"{VERSITYGW_MODULE}@{version}"], GOBIN=str(binaries))


def install_kinesis(folder: Path, version: str, integrity: str) -> None:
    """Fetch the Kinesis server with npm, which compares it with the hash in a lock file."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    wanted = {"private": True, "dependencies": {kinesis.PACKAGE: version}}
    package = {"version": version, "integrity": integrity}
    packages = {"": wanted, f"node_modules/{kinesis.PACKAGE}": package}
    lock_file = {"lockfileVersion": 3, "requires": True, "packages": packages}
    (folder / "package.json").write_text(json.dumps(wanted), "utf-8")
    (folder / "package-lock.json").write_text(json.dumps(lock_file), "utf-8")
    run(["npm", "ci", "--prefix", str(folder), "--ignore-scripts", "--no-audit", "--no-fund"])
    kinesis.keep_hashes(kinesis.package_folder(folder) / "main.js")


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

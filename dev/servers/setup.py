"""Fetch and build what the local servers run from, once; a second run finds it all in place."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from connectors import local_files as lock
from connectors.errors import UserError
from dev import native
from dev.servers import (
    chromium,
    flink_home,
    kinesis,
    localstack,
    npm,
    prerequisites,
    prometheus,
    registry,
)
from dev.servers.cache import ServerCache
from dev.servers.chromium import Chromium
from pipeline.deploy.builds import (
    Part,
    Say,
    bring_up_to_date,
    checkout,
    connectors_part,
    is_current,
    maven,
    run,
)
from pipeline.deploy.prerequisites import MAVEN

VERSITYGW_MODULE = "github.com/versity/versitygw/cmd/versitygw"
PROFILES = {"kafka": "kafka-server", "opensearch": "opensearch-server", "s3-plugin": "s3-plugin"}


def setup(root: Path, *, say: Say, servers: tuple[str, ...] | None = None) -> ServerCache:
    """Bring the cache up to date and return it; idempotent.

    `servers` are those about to start: the Kinesis server, Prometheus, the schema registry
    and LocalStack are fetched when they are among them. Without `servers`, the Kinesis server and
    the browser are fetched where Node is there to run them, and the native decoder is built where
    cargo is.

    Raises UserError naming everything that the machine lacks, or the command that failed with the
    end of what it said.
    """
    cache = ServerCache(checkout(root).root)
    with lock.waiting(cache.directory / "lock"):
        bring_up_to_date(cache, say, parts(cache, say, servers))
    return cache


def parts(cache: ServerCache, say: Say, servers: tuple[str, ...] | None) -> list[Part]:
    """Everything the cache holds, in the order of building."""
    pom = cache.pom.read_text("utf-8")
    maven = (MAVEN,)
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
    if servers is None:
        own += [*chromium_parts(cache, say), *native.parts(cache, say)]
        servers = ()
    if "dashboards" in servers:
        own.append(prometheus_part(cache))
    if "registry" in servers:
        own.append(registry_part(cache))
    if "localstack" in servers:
        own.append(localstack_part(cache))
    return [connectors_part(cache), *jars, flink, *own]


def s3_parts(cache: ServerCache, pom: str, say: Say) -> list[Part]:
    """The S3 server, unless Go is absent and moto is there to stand in."""
    version = pom_property(pom, "versitygw.version")
    part = Part(
        "versitygw", f"building the S3 server versitygw {version} with Go (1-3 minutes)", version,
        cache.versitygw, lambda: install_versitygw(cache, version), (prerequisites.S3,),
    )  # fmt: skip
    if is_current(cache, part):
        return [part]
    if (problem := prerequisites.go_problem()) and not prerequisites.s3_problem():
        say(f"{problem}: moto takes versitygw's place as the S3 server (slower, in memory)")
        return []
    return [part]


def kinesis_parts(
    cache: ServerCache, pom: str, say: Say, servers: tuple[str, ...] | None
) -> list[Part]:
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
    if is_current(cache, part):
        return [part]
    if problem := prerequisites.node_problem():
        say(f"without the Kinesis server: {problem}; {prerequisites.NODE.remedy}")
        return []
    return [part]


def chromium_parts(cache: ServerCache, say: Say) -> list[Part]:
    """The browser that tests the HTML page, where Node is there to unpack it."""
    part = Part(
        "chromium", f"fetching the browser {chromium.PACKAGE} {chromium.VERSION} with npm",
        f"{chromium.VERSION} {chromium.INTEGRITY}", Chromium(cache.chromium).program,
        lambda: chromium.install(cache.chromium), (prerequisites.NODE,),
    )  # fmt: skip
    if is_current(cache, part):
        return [part]
    if problem := chromium.machine_problem() or prerequisites.node_problem():
        say(f"without a browser to test the HTML page: {problem}")
        return []
    return [part]


def prometheus_part(cache: ServerCache) -> Part:
    """Prometheus, whose versions and hashes are in a list of their own."""
    packages = prometheus.PACKAGES.read_text("utf-8")
    return Part(
        "prometheus", "fetching Prometheus with apt (23 MB, unpacked and not installed)",
        packages, cache.prometheus, lambda: prometheus.install(cache.prometheus),
        (prerequisites.APT,),
    )  # fmt: skip


def registry_part(cache: ServerCache) -> Part:
    """The schema registry, whose version and hash are beside its settings."""
    return Part(
        "registry", "fetching the schema registry with Maven (142 MB)", registry.SHA256,
        registry.program(cache.registry), lambda: registry.install(cache), (MAVEN,),
    )  # fmt: skip


def localstack_part(cache: ServerCache) -> Part:
    """LocalStack, whose packages and their hashes are in a lock of its own."""
    return Part(
        "localstack",
        f"installing LocalStack {localstack.version()} with pip (512 MB, 1-4 minutes)",
        localstack.inputs(), localstack.program(cache.localstack),
        lambda: localstack.install(cache.localstack), (prerequisites.NODE,),
    )  # fmt: skip


def pom_property(pom: str, name: str) -> str:
    """Return the value of one of the pom's properties."""
    match = re.search(rf"<{re.escape(name)}>([^<]+)<", pom)
    if match is None:
        raise UserError(f"connectors/pom.xml has no property {name}")
    return match.group(1)


def copy_jars(cache: ServerCache, name: str) -> None:
    """Copy one profile's jars into a folder that holds nothing else."""
    folder = cache.jars(name)
    shutil.rmtree(folder, ignore_errors=True)
    maven(
        cache, "-P", PROFILES[name], "dependency:copy-dependencies", f"-DoutputDirectory={folder}"
    )


def install_versitygw(cache: ServerCache, version: str) -> None:
    """Build the S3 server into the cache's bin folder."""
    binaries = cache.versitygw.parent
    binaries.mkdir(parents=True, exist_ok=True)
    run(["go", "install", f"{VERSITYGW_MODULE}@{version}"], GOBIN=str(binaries))


def install_kinesis(folder: Path, version: str, integrity: str) -> None:
    """Fetch the Kinesis server with npm and patch it."""
    kinesis.keep_hashes(npm.install(folder, kinesis.PACKAGE, version, integrity) / "main.js")

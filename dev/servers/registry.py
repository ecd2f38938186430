"""A schema registry with Confluent's REST API: Apicurio as one process on 127.0.0.1, in memory.

Version 2, because 3.3 needs Java 21, and the parent pom of 3.0.9 could not be fetched.
"""

from __future__ import annotations

import hashlib
import shutil
import tarfile
import tempfile
from pathlib import Path

import msgspec

from connectors.errors import UserError
from dev.servers.cache import ServerCache
from dev.servers.server import Server, fetch, java
from pipeline.deploy.builds import maven

VERSION = "2.6.13.Final"
SHA256 = "3cda1b34aa020fb4ac4dd6a66018d757e81e437f97e20a1f92d366b70091c6ba"
"""Of the archive; not in connectors/pom.xml, whose every change builds all servers anew."""
ARTIFACT = f"io.apicurio:apicurio-registry-app:{VERSION}:tar.gz:all"
API = "/apis/ccompat/v7"
"""Below it is Confluent's API."""


def server(cache: ServerCache, *, folder: Path, port: int) -> Server:
    """Return a registry; it keeps its schemas in memory only. `url` is that of Confluent's API."""
    address = f"http://127.0.0.1:{port}"
    jvm = (java(), "-Xms64m", "-Xmx300m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
    return Server(
        name="registry",
        command=(*jvm, "-jar", str(program(cache.registry))),
        port=port,
        url=f"{address}{API}",
        is_ready=lambda: is_ready(address),
        prepare=lambda: folder.mkdir(parents=True, exist_ok=True),
        environment={
            "QUARKUS_HTTP_HOST": "127.0.0.1",
            "QUARKUS_HTTP_PORT": str(port),
        },
    )


def is_ready(address: str) -> bool:
    """Return whether the registry lists its subjects."""
    body = fetch(f"{address}{API}/subjects")
    return body is not None and isinstance(msgspec.json.decode(body), list)


def program(folder: Path) -> Path:
    """Return the program in the folder that it was installed into."""
    return folder / f"apicurio-registry-app-{VERSION}-runner.jar"


def install(cache: ServerCache) -> None:
    """Fetch the registry with Maven and unpack it.

    Raises:
        UserError: Maven failed, or the file is not the pinned one.
    """
    with tempfile.TemporaryDirectory() as name:
        maven(cache, "dependency:copy", f"-Dartifact={ARTIFACT}", f"-DoutputDirectory={name}")
        (archive,) = Path(name).iterdir()
        with archive.open("rb") as content:
            found = hashlib.file_digest(content, "sha256").hexdigest()
        if found != SHA256:
            raise UserError(f"{archive.name} has the SHA-256 {found}, not {SHA256}: not unpacked")
        shutil.rmtree(cache.registry, ignore_errors=True)
        with tarfile.open(archive) as files:
            files.extractall(cache.registry, filter="data")

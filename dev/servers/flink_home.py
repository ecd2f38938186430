"""A Flink distribution made from PyFlink's own, with connectors and executable bits added."""

from __future__ import annotations

import shutil
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from connectors.errors import UserError
from dev.servers import beam_loopback
from dev.servers.cache import ServerCache

FOLDERS = ("bin", "conf", "lib", "opt", "plugins")


def inputs() -> str:
    """Return what, beside the pom, requires a new distribution when it changes."""
    return f"apache-flink {version('apache-flink')}, loopback patch 1, flink-python in lib"


def assemble(cache: ServerCache) -> None:
    """Copy PyFlink's distribution and add our jars; an interrupted copy is never used."""
    unfinished = cache.directory / "flink.unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    for folder in FOLDERS:
        shutil.copytree(pyflink_folder() / folder, unfinished / folder)
    for script in (unfinished / "bin").iterdir():
        script.chmod(0o755)
    for jar in (unfinished / "opt").glob("flink-python-*.jar"):
        beam_loopback.patch_jar(jar)
        # Loaded once for all jobs: as a part of each job it leaves direct memory and metaspace
        # behind, and every job begins with cold classes.
        (unfinished / "lib" / jar.name).symlink_to(Path("..", "opt", jar.name))
    link_connectors(unfinished / "lib", cache.connectors_jar)
    shutil.copytree(cache.jars("s3-plugin"), unfinished / "plugins" / "s3-fs-hadoop")
    shutil.rmtree(cache.flink_home, ignore_errors=True)
    unfinished.rename(cache.flink_home)


def link_connectors(lib: Path, jar: Path) -> None:
    """Link the connectors' jar into the class path, without copying 140 MB."""
    (lib / jar.name).symlink_to(Path("..", "..", jar.parent.name, jar.name))


def pyflink_folder() -> Path:
    """Return where pip put PyFlink, without importing it, which takes seconds."""
    spec = find_spec("pyflink")
    if spec is None or spec.origin is None:
        raise UserError("PyFlink is not installed in this environment: pip install apache-flink")
    return Path(spec.origin).parent

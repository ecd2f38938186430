"""The wheels of the package: what the job imports and the platform's Python does not have.

Versions and hashes are those of conf/requirements.lock, so that the job runs there with the code
it was tested with.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import sys
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from connectors.errors import UserError
from connectors.local_files import waiting
from pipeline.deploy.builds import Cache, Say, run

# What pipeline.main imports and what that needs, without what apache-flink brings; a test holds it.
PACKAGED = (
    "boto3",
    "botocore",
    "events",
    "jmespath",
    "mmh3",
    "msgspec",
    "opensearch-protobufs",
    "opensearch-py",
    "pyarrow-hotfix",
    "pyyaml",
    "s3transfer",
)
# No newer C library than glibc 2.17, which is what the job may count on: docs/package.md. Of two
# wheels of one version pip takes the one whose platform is named earlier.
PLATFORMS = ("manylinux2014_x86_64", "manylinux_2_17_x86_64")


def fetched(cache: Cache, *, say: Say) -> list[Path]:
    """Return the wheels by name; pip fetches them the first time and checks their hashes.

    Raises:
        UserError: the lock lacks a package, or pip failed.
    """
    wanted = locked((cache.root / "conf" / "requirements.lock").read_text("utf-8"))
    digest = hashlib.sha256("".join((*PLATFORMS, wanted)).encode()).hexdigest()
    folder = cache.directory / "wheels" / digest[:16]
    with waiting(cache.directory / "lock"):
        if not folder.is_dir():
            say("fetching the package's wheels with pip ...")
            download(wanted, folder)
    return sorted(folder.glob("*.whl"))


def locked(text: str, names: Sequence[str] = PACKAGED) -> str:
    """Return the lock's lines for these packages; UserError if it lacks one."""
    blocks = re.split(r"^(?=[A-Za-z0-9])", text, flags=re.MULTILINE)
    by_name = {block.partition("==")[0].lower(): block for block in blocks}
    if absent := [name for name in names if name not in by_name]:
        raise UserError(f"conf/requirements.lock lacks {', '.join(absent)}: make lock")
    return "".join(by_name[name] for name in names)


def download(requirements: str, folder: Path) -> None:
    """Fill a folder with the wheels for the platform; an interrupted download leaves none."""
    unfinished = folder.with_suffix(".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    listed = unfinished / "requirements.txt"
    listed.write_text(requirements, "utf-8")
    target = ["--implementation", "cp", "--python-version", "3.11", "--only-binary", ":all:"]
    target += [word for platform in PLATFORMS for word in ("--platform", platform)]
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    run([*pip, *target, "--no-deps", "--require-hashes", "-d", str(unfinished), "-r", str(listed)])
    unfinished.rename(folder)


def files(wheel: Path) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of a wheel's files as pip would install them, without scripts."""
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            installed = installed_name(name)
            if installed and not name.endswith("/"):
                yield installed, archive.read(name)


def installed_name(name: str) -> str:
    """Return a file's path below site-packages; empty for what is not installed there.

    >>> installed_name("a-1.data/purelib/a.py"), installed_name("a-1.data/scripts/a")
    ('a.py', '')
    """
    first, _, rest = name.partition("/")
    if not first.endswith(".data"):
        return name
    kind, _, inner = rest.partition("/")
    return inner if kind in ("purelib", "platlib") else ""

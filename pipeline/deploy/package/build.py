"""The zip that Amazon Managed Service for Apache Flink runs as FLINK-1_20.

The same sources give the same bytes: names are sorted, times and modes fixed, and nothing is
compressed, since two releases of zlib may pack one file differently (the jar, three quarters of
it all, is compressed inside anyway).
"""

from __future__ import annotations

import hashlib
import io
import shutil
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from connectors.errors import UserError
from pipeline.deploy import native
from pipeline.deploy.builds import Cache, Say, setup_connectors
from pipeline.deploy.package import native_wheel, wheels

LIMIT_BYTES: Final = 512_000_000
JAR: Final = "lib/pyflink-dependencies.jar"
PYTHON: Final = "lib/python"
"""Our code and the wheels, unpacked: C extensions cannot be imported out of a zip."""
RUN_OPTIONS: Final[Mapping[str, Any]] = {
    "PropertyGroupId": "kinesis.analytics.flink.run.options",
    "PropertyMap": {"python": "main.py", "jarfile": JAR, "pyFiles": PYTHON},
}

_OURS: Final = ("connectors", "pipeline", "schemas")
_SUFFIXES: Final = frozenset({".py", ".avsc", ".ndjson", ".json"})
_TIME: Final = (1980, 1, 1, 0, 0, 0)
_REGULAR_FILE_644: Final = 0o100644 << 16
Content = Path | bytes


@dataclass(frozen=True, slots=True)
class Built:
    """A finished package; `rustc` is what built its native decoder, empty if it has none."""

    path: Path
    files: int
    bytes: int
    sha256: str
    rustc: str = ""


def build(root: Path, out: Path, *, say: Say, with_native: bool = True) -> Built:
    """Make the package of a checkout; what the cache lacks, jar and wheels, is made first.

    Without cargo, or if not wanted, it is without the native decoder.

    Raises:
        UserError: what could not be built or fetched, or a package above the platform's limit.
    """
    cache = setup_connectors(root, say=say)
    unpacked = wheels.fetched(cache, say=say)
    extension = native_wheel.built(cache, say=say) if with_native else None
    contents = contents_of(cache, [*unpacked, *([extension] if extension else ())])
    write(contents, out)
    size = out.stat().st_size
    refuse_too_large(size, out)
    with out.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    rustc = native.compiler(cache) if extension else ""
    return Built(out, len(contents), size, digest, rustc)


def refuse_too_large(size: int, path: Path) -> None:
    """Raise a UserError for a package above `LIMIT_BYTES`."""
    if size > LIMIT_BYTES:
        raise UserError(
            f"{path} has {size:,} bytes; Managed Service for Apache Flink takes {LIMIT_BYTES:,} at"
            " most. Look for what has grown: unzip -l lists it."
        )


def contents_of(cache: Cache, fetched: list[Path]) -> dict[str, Content]:
    """Return every file of the package by its name in the zip.

    Raises:
        UserError: two wheels, or a wheel and our packages, have a file of the same name.
    """
    ours = (path for package in _OURS for path in (cache.root / package).rglob("*"))
    contents: dict[str, Content] = {
        "main.py": Path(__file__).with_name("main.py"),
        JAR: cache.connectors_jar,
        **{
            f"{PYTHON}/{path.relative_to(cache.root)}": path
            for path in ours
            if path.suffix in _SUFFIXES
        },
    }
    for wheel in fetched:
        for name, content in wheels.files(wheel):
            if contents.setdefault(f"{PYTHON}/{name}", content) is not content:
                raise UserError(f"{wheel.name} has {name}, which the package has already")
    return contents


def write(contents: Mapping[str, Content], out: Path) -> None:
    """Write the zip beside its place, then put it there whole."""
    out.parent.mkdir(parents=True, exist_ok=True)
    unfinished = out.with_name(f"{out.name}.unfinished")
    with zipfile.ZipFile(unfinished, "w") as archive:
        for name in sorted(contents):
            content = contents[name]
            source = content.open("rb") if isinstance(content, Path) else io.BytesIO(content)
            with source, archive.open(_entry(name), "w") as target:
                shutil.copyfileobj(source, target, 1 << 20)
    unfinished.replace(out)


def _entry(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, _TIME)
    info.create_system = 3  # Unix on every machine
    info.external_attr = _REGULAR_FILE_644
    return info

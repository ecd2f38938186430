"""A package run as the managed service runs it: unpacked, by a Python that has apache-flink alone,
on a cluster without our jar, configured by the property groups' file."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from connectors.errors import UserError
from dev.servers import flink_run
from dev.servers.cache import ServerCache
from pipeline.config.load import PROPERTY_GROUPS
from pipeline.deploy.package.build import RUN_OPTIONS

Groups = Sequence[Mapping[str, Any]]


def property_groups(sections: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A configuration's sections as the application would be given them, run options included.

    >>> property_groups({"source": {"kafka_topics": ["a", "b"]}})[1]["PropertyMap"]
    {'kafka_topics': 'a, b'}
    """
    flat: dict[str, Mapping[str, Any]] = {}
    for name, keys in sections.items():
        entries = {f"{name}.{entry}": value for entry, value in keys.items()}
        is_entries = name in ("clusters", "replicate")
        flat |= entries if is_entries else {name: keys}
    groups = [
        {"PropertyGroupId": name, "PropertyMap": {k: _text(v) for k, v in keys.items()}}
        for name, keys in flat.items()
    ]
    return [dict(RUN_OPTIONS), *groups]


@contextmanager
def placed(groups: Groups, path: Path = PROPERTY_GROUPS) -> Iterator[Path]:
    """The groups in the file where the platform puts them, for the time of the submission.

    Raises:
        UserError: the place cannot be written, or there is such a file already.
    """
    created = next((parent for parent in reversed(path.parents) if not parent.exists()), None)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            json.dump(groups, file)
    except OSError as error:
        raise UserError(
            f"{path}: cannot be made ({error.strerror}); root is needed, and no such file there."
        ) from error
    try:
        yield path
    finally:
        path.unlink()
        if created:
            shutil.rmtree(created)


def unpack(package: Path, folder: Path) -> list[str]:
    """Unpack into an empty folder; what `flink run` must be told, by the run options."""
    with zipfile.ZipFile(package) as archive:
        archive.extractall(folder)
    options = RUN_OPTIONS["PropertyMap"]
    flags = {"-py": "python", "-j": "jarfile", "-pyfs": "pyFiles"}
    return [word for flag, key in flags.items() for word in (flag, str(folder / options[key]))]


def bare_python(folder: Path) -> Path:
    """An interpreter that can import apache-flink and what that needs, and nothing else.

    A virtual environment of links to the files of this one: made in a second and offline, while an
    installation takes minutes.
    """
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    (packages,) = folder.glob("lib/python3.*/site-packages")
    homes = {
        home.name: home for installed in _closure("apache-flink") for home in _top_levels(installed)
    }
    for name, home in sorted(homes.items()):
        (packages / name).symlink_to(home)
    return folder / "bin" / "python"


def bare_checkout(root: Path, folder: Path) -> Path:
    """A folder for `Stack` to start the servers from, whose Flink has no connectors in lib/."""
    cache, bare = ServerCache(root.resolve()), ServerCache(folder)
    bare.directory.mkdir(parents=True)
    for path in cache.directory.iterdir():
        if path != cache.flink_home:
            (bare.directory / path.name).symlink_to(path)
    shutil.copytree(cache.flink_home, bare.flink_home, copy_function=_link, symlinks=True)
    # bin/flink follows a link to itself, and would take the class path from there.
    shutil.rmtree(bare.flink_home / "bin")
    shutil.copytree(cache.flink_home / "bin", bare.flink_home / "bin")
    (bare.flink_home / "lib" / cache.connectors_jar.name).unlink()
    return folder


def submit(
    flink_home: Path,
    rest_url: str,
    *,
    python: Path,
    program: Sequence[str],
    environment: Mapping[str, str],
    savepoint: str = "",
) -> str:
    """Submit an unpacked package from an empty folder; returns the job's id.

    Raises:
        UserError: what the program said when it refused, or when Flink did.
    """
    with TemporaryDirectory() as folder:
        return flink_run.submit(
            flink_home,
            rest_url,
            python=str(python),
            program=program,
            arguments=(),
            environment={k: v for k, v in environment.items() if k != "PYTHONPATH"},
            savepoint=savepoint,
            folder=Path(folder),
        )


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _closure(root: str) -> list[Distribution]:
    """The installed distributions that one needs, itself included; extras left out."""
    installed: dict[str, Distribution] = {}
    pending = [root]
    while pending:
        name = re.sub(r"[-_.]+", "-", pending.pop()).lower()
        try:
            installed[name] = distribution(name)
        except PackageNotFoundError:  # for another system or Python
            continue
        needs = [text for text in installed[name].requires or () if "extra ==" not in text]
        names = [match[0] for text in needs if (match := re.match(r"[\w.-]+", text))]
        pending += [name for name in names if re.sub(r"[-_.]+", "-", name).lower() not in installed]
    return list(installed.values())


def _top_levels(installed: Distribution) -> list[Path]:
    """Return what it has installed and is still there: of two files AUTHORS, pip leaves one.

    A package that pip installed by its setup.py lists its sources, not what is installed, but names
    its modules in top_level.txt.
    """
    names = {path.parts[0] for path in installed.files or ()} - {"..", "__pycache__", "bin"}
    for module in (installed.read_text("top_level.txt") or "").split():
        names |= {module, f"{module}.py"}
    homes = (Path(str(installed.locate_file(name))) for name in names)
    return [home for home in homes if home.exists()]


def _link(source: str, target: str) -> None:
    Path(target).symlink_to(Path(source).resolve())

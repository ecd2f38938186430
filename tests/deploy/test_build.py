"""The zip: the same bytes each time, what it holds, and what it may weigh."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from connectors.errors import UserError
from dev.servers.cache import ServerCache
from pipeline.deploy.package import build, wheels
from tests.deploy import elf

ROOT = Path(__file__).parents[2]
NOT_FOR_IT = (
    "lib/python/tests/",
    "lib/python/dev/",
    "lib/python/pyflink/",
    "lib/python/numpy/",
    "lib/python/pyarrow/",
    "lib/python/confluent_kafka/",
)
# What pipeline.main imports of the packages that apache-flink does not bring.
ROOTS = (
    "boto3",
    "mmh3",
    "msgspec",
    "opensearch-py",
    "pyarrow-hotfix",
    "pyyaml",
)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> build.Built:
    return build.build(ROOT, tmp_path_factory.mktemp("package") / "a.zip", say=print)


def test_two_builds_are_equal_byte_for_byte(built: build.Built) -> None:
    again = build.build(ROOT, built.path.with_name("b.zip"), say=print)
    assert (again.sha256, again.bytes) == (built.sha256, built.bytes)


def test_another_checkout_gives_the_same_bytes(built: build.Built, tmp_path: Path) -> None:
    for name in ("connectors", "pipeline", "schemas", "conf", "native"):
        shutil.copytree(ROOT / name, tmp_path / name)
    for path in tmp_path.rglob("*.py"):
        path.chmod(0o700)
    (tmp_path / ".cache").symlink_to(ROOT / ".cache")
    other = build.build(tmp_path, tmp_path / "c.zip", say=print)
    assert other.sha256 == built.sha256


def test_the_run_options_name_what_is_in_it(built: build.Built) -> None:
    with zipfile.ZipFile(built.path) as package:
        names = set(package.namelist())
    options = build.RUN_OPTIONS["PropertyMap"]
    assert {options["python"], options["jarfile"]} <= names
    for inside in (
        "pipeline/job.py",
        "schemas/trip.avsc",
        "connectors/flink/table_environment.py",
        "yaml/reader.py",
    ):
        assert f"{options['pyFiles']}/{inside}" in names
    assert [name for name in names if name.startswith(NOT_FOR_IT) or "__pycache__" in name] == []


def test_its_pyarrow_is_guarded(built: build.Built, tmp_path: Path) -> None:
    """A worker imports decode's module from the package and finds the guard there too."""
    with zipfile.ZipFile(built.path) as package:
        wanted = ("connectors/", "pipeline/", "schemas/", "pyarrow_hotfix/")
        prefix = f"{build.PYTHON}/"
        names = [n for n in package.namelist() if n.removeprefix(prefix).startswith(wanted)]
        package.extractall(tmp_path, names)
    (tmp_path / prefix / "tests").symlink_to(ROOT / "tests")
    code = (
        "import pipeline.operators.decode, pyarrow_hotfix;"
        "from tests.python_typed import guard_is_active;"
        "print(pipeline.operators.decode.__file__, pyarrow_hotfix.__file__, guard_is_active())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path / prefix, capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path / prefix)},
    )  # fmt: skip
    operators, hotfix, active = done.stdout.split()
    assert Path(operators).is_relative_to(tmp_path)
    assert Path(hotfix).is_relative_to(tmp_path)
    assert active == "True"


def test_it_is_within_the_limit(built: build.Built) -> None:
    assert built.bytes == built.path.stat().st_size < build.LIMIT_BYTES


def test_a_package_above_the_limit_is_refused() -> None:
    build.refuse_too_large(512_000_000, Path("a.zip"))
    with pytest.raises(UserError, match="a.zip has 512,000,001 bytes; .*takes 512,000,000 at most"):
        build.refuse_too_large(512_000_001, Path("a.zip"))


def test_the_wheels_are_what_the_platform_lacks() -> None:
    needed = closure(ROOTS) - closure(("apache-flink",))
    assert set(wheels.PACKAGED) == needed


def closure(roots: tuple[str, ...]) -> set[str]:
    """Every distribution that these need here, by their own metadata."""
    found: set[str] = set()
    pending = list(roots)
    while pending:
        name = canonicalize_name(pending.pop())
        if name not in found:
            found.add(name)
            needs = [Requirement(text) for text in distribution(name).requires or ()]
            pending += [r.name for r in needs if not r.marker or r.marker.evaluate({"extra": ""})]
    return found


def test_the_lock_s_own_lines_are_used() -> None:
    lock = "a==1 \\\n    --hash=sha256:aa\nb-c==2 \\\n    --hash=sha256:bb\n    # via a\n"
    assert wheels.locked(lock, ["b-c"]) == "b-c==2 \\\n    --hash=sha256:bb\n    # via a\n"
    with pytest.raises(UserError, match="lacks nothing-such: make lock"):
        wheels.locked(lock, ["a", "nothing-such"])


def test_every_wheel_says_that_it_runs_on_manylinux2014() -> None:
    names = [each.name for each in wheels.fetched(ServerCache(ROOT), say=print)]
    assert len(names) == len(wheels.PACKAGED)
    runs = re.compile(
        r"(py3-none-any|cp311-cp311-\S*manylinux(2014|_2_17|_2_5|2010|1)_x86_64\S*)\.whl$"
    )
    assert [name for name in names if not runs.search(name)] == []


def test_nothing_in_it_needs_more_than_manylinux2014(built: build.Built) -> None:
    libraries = {name: set(elf.needed_versions(content)) for name, content in shared(built.path)}
    for part in ("mmh3.", "msgspec/", "yaml/", "net/jpountz/", "org/xerial/", "linux/amd64/"):
        assert any(part in name for name in libraries), part
    beyond = {name: elf.beyond_manylinux2014(needed) for name, needed in libraries.items()}
    assert {name: versions for name, versions in beyond.items() if versions} == {}
    assert any("GLIBC_2.2.5" in needed for needed in libraries.values())


def shared(path: Path) -> Iterator[tuple[str, bytes]]:
    """The shared libraries for Linux on x86_64 in the package, and in the jar in it."""
    jar = build.RUN_OPTIONS["PropertyMap"]["jarfile"]
    with zipfile.ZipFile(path) as package, zipfile.ZipFile(package.open(jar)) as classes:
        of_python = [(package, name) for name in package.namelist()]
        of_java = [(classes, name) for name in classes.namelist() if "linux" in name.lower()]
        for archive, name in of_python + of_java:
            if ".so" in Path(name).suffixes and elf.is_x86_64(content := archive.read(name)):
                yield name, content


def test_a_newer_c_library_is_recognised() -> None:
    """The wheel that the tools use and the package may not have."""
    home = Path(str(distribution("confluent-kafka").locate_file("confluent_kafka")))
    libraries = [*home.glob("*.so"), *home.parent.glob("confluent_kafka.libs/*.so*")]
    needed = {name for path in libraries for name in elf.needed_versions(path.read_bytes())}
    assert "GLIBC_2.28" in elf.beyond_manylinux2014(needed)


def test_scripts_are_left_out() -> None:
    assert wheels.installed_name("a/b.py") == "a/b.py"
    assert wheels.installed_name("a-1.data/purelib/a/b.py") == "a/b.py"
    assert wheels.installed_name("a-1.data/scripts/a") == ""


def test_the_command_prints_what_to_use(tmp_path: Path) -> None:
    command = "from pipeline.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", command, "package", "--out", str(tmp_path / "p.zip")],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert re.search(r"p\.zip: [\d,]+ files, \d+\.\d MB of the 512 allowed", done.stdout)
    assert re.search(r"^sha256: [0-9a-f]{64}$", done.stdout, re.MULTILINE)
    assert re.search(r"^native decoder: (none|built by rustc .+)$", done.stdout, re.MULTILINE)
    assert '"pyFiles": "lib/python"' in done.stdout

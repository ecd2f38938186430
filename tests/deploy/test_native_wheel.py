"""The native decoder in the package: for old C libraries, whole, and optional."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy
import pyarrow
import pytest

from connectors.errors import UserError
from pipeline import __version__
from pipeline.deploy import native
from pipeline.deploy.builds import Cache, checkout
from pipeline.deploy.package import build, native_wheel
from tests.deploy import elf

ROOT = Path(__file__).parents[2]
CACHE = checkout(ROOT)
PREFIX = f"{build.PYTHON}/{native.MODULE}"
NO_CARGO = native.cargo_problem(CACHE)

needs_cargo = pytest.mark.skipif(bool(NO_CARGO), reason=NO_CARGO or "")


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package's folder of the extension, and nothing else of it."""
    folder = tmp_path_factory.mktemp("package")
    built = build.build(ROOT, folder / "a.zip", say=print)
    assert built.rustc.startswith("rustc 1.")
    with zipfile.ZipFile(built.path) as package:
        package.extractall(folder, [n for n in package.namelist() if n.startswith(PREFIX)])
    built.path.unlink()
    return folder / build.PYTHON


@needs_cargo
def test_it_needs_no_newer_c_library_than_glibc_2_17(unpacked: Path) -> None:
    (library,) = unpacked.rglob("*.so")
    needed = set(elf.needed_versions(library.read_bytes()))
    assert needed, "it has no version needs: read the wrong section?"
    assert elf.beyond_manylinux2014(needed) == set()


@needs_cargo
def test_an_interpreter_without_any_package_imports_it(unpacked: Path, tmp_path: Path) -> None:
    for package in (pyarrow, numpy):
        home = Path(str(package.__file__)).parent
        for path in (home, *home.parent.glob(f"{home.name}.libs")):
            (tmp_path / path.name).symlink_to(path)
    code = (
        f"import sys; sys.path += {[str(unpacked), str(tmp_path)]!r};"
        f"import {native.MODULE} as m; print(m.__file__, m.__version__)"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code],
        capture_output=True, text=True, cwd="/", check=True,
    )  # fmt: skip
    place, version = done.stdout.split()
    assert Path(place).is_relative_to(unpacked)
    assert version == __version__


@needs_cargo
def test_no_path_of_this_machine_is_in_it(unpacked: Path) -> None:
    for path in unpacked.rglob("*.*"):
        content = path.read_bytes() if path.is_file() else b""
        for place in (ROOT, Path.home()):
            assert f"{place}/".encode() not in content, path


@needs_cargo
@pytest.mark.deployment  # compiles all crates once more
def test_another_folder_gives_the_same_bytes(tmp_path: Path) -> None:
    wheel = native_wheel.built(CACHE, say=print)
    assert wheel
    other = Cache(tmp_path / "elsewhere")
    shutil.copytree(ROOT / "native", other.root / "native")
    zig = native_wheel.fetched_zig(CACHE, native.folder(CACHE) / "zig.lock", print)
    zig_home = zig.parents[1]
    native.builds_folder(other).mkdir(parents=True)
    (native.builds_folder(other) / zig_home.name).symlink_to(zig_home)
    again = native_wheel.built(other, say=print)
    assert again and again.read_bytes() == wheel.read_bytes()


def test_without_cargo_the_package_is_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    said: list[str] = []
    assert native_wheel.built(CACHE, say=said.append) is None
    (line,) = said
    assert line.startswith("the package is without the native decoder: cargo was not found on PATH")


def test_it_can_be_left_out(tmp_path: Path) -> None:
    command = "from pipeline.cli import main; main()"
    out = tmp_path / "p.zip"
    done = subprocess.run(
        [sys.executable, "-c", command, "package", "--no-native", "--json", "--out", str(out)],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    report = json.loads(done.stdout)
    assert (report["native"], report["rustc"]) == (False, None)
    with zipfile.ZipFile(out) as package:
        assert not [name for name in package.namelist() if name.startswith(PREFIX)]


@needs_cargo
def test_a_failed_build_names_its_log_and_the_way_without(tmp_path: Path) -> None:
    broken = Cache(tmp_path)
    native.folder(broken).mkdir()
    for name in ("Cargo.toml", "zig.lock"):
        shutil.copy(ROOT / "native" / name, native.folder(broken))
    zig = native_wheel.fetched_zig(CACHE, native.folder(CACHE) / "zig.lock", print)
    native.builds_folder(broken).mkdir(parents=True)
    (native.builds_folder(broken) / zig.parents[1].name).symlink_to(zig.parents[1])
    log = native.builds_folder(broken) / "build.log"
    with pytest.raises(UserError, match=f"{log} says why\n--no-native makes the package without"):
        native_wheel.built(broken, say=print)
    assert "error" in log.read_text()

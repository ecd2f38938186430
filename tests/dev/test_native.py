"""Set-up and the native decoder: built where cargo is, done without elsewhere, never in between."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from connectors.errors import UserError
from dev import native as dev_native
from pipeline.decode import native as decode_native
from pipeline.deploy import native
from pipeline.deploy.builds import Cache, checkout, is_current, write_stamp

ROOT = Path(__file__).parents[2]
NO_CARGO = native.cargo_problem(checkout(ROOT))

needs_cargo = pytest.mark.skipif(bool(NO_CARGO), reason=NO_CARGO or "")


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    """A checkout whose crate cannot be built: it has no source."""
    (tmp_path / "native").mkdir()
    shutil.copy(ROOT / "native" / "Cargo.toml", tmp_path / "native")
    return Cache(tmp_path)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A place for packages in which one was installed before."""
    site = tmp_path / "site"
    for name in (native.MODULE, f"{native.MODULE}-0.1.0.dist-info", "another"):
        (site / name).mkdir(parents=True)
    return site


def without_cargo(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.delenv("NATIVE", raising=False)
    monkeypatch.setenv("PATH", str(folder))


def test_without_cargo_set_up_says_so_and_removes_one_of_other_sources(
    cache: Cache, site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_cargo(monkeypatch, site)
    said: list[str] = []
    assert dev_native.parts(cache, said.append, site) == []
    assert said == [
        "decode uses the Python decoder: cargo was not found on PATH; 1.85 or newer is needed"
    ]
    assert [path.name for path in site.iterdir()] == ["another"]


@needs_cargo
def test_one_of_these_sources_stays_also_without_cargo(
    cache: Cache, site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (part,) = dev_native.parts(cache, print, site)
    write_stamp(cache, part)
    without_cargo(monkeypatch, site)
    said: list[str] = []
    (again,) = dev_native.parts(cache, said.append, site)
    assert is_current(cache, again)
    assert said == []
    (native.folder(cache) / "src").mkdir()
    (native.folder(cache) / "src" / "lib.rs").touch()
    assert dev_native.parts(cache, said.append, site) == []


@needs_cargo
def test_a_failed_build_is_told_and_tried_again(
    cache: Cache, site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NATIVE", raising=False)
    said: list[str] = []
    (part,) = dev_native.parts(cache, said.append, site)
    part.build()
    write_stamp(cache, part)
    log = native.builds_folder(cache) / "build.log"
    assert said == [
        f"decode uses the Python decoder: the native decoder could not be built; {log} says why"
    ]
    assert "error" in log.read_text()
    assert not is_current(cache, part)
    monkeypatch.setenv("NATIVE", "required")
    with pytest.raises(UserError, match="NATIVE=required, but .* could not be built; .* says why"):
        part.build()


def test_cargo_can_be_required(cache: Cache, site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_cargo(monkeypatch, site)
    monkeypatch.setenv("NATIVE", "required")
    with pytest.raises(UserError, match="NATIVE=required, but .*cargo was not found on PATH"):
        dev_native.parts(cache, print, site)


@needs_cargo
def test_what_set_up_installed_is_of_these_sources() -> None:
    """`make test` and `make check` set up first."""
    (part,) = dev_native.parts(checkout(ROOT), print)
    assert is_current(checkout(ROOT), part)
    code = f"import {native.MODULE} as m; print(m.__version__)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd="/")


@pytest.mark.parametrize("action", ["lint", "test"])
def test_lint_and_test_do_without_cargo(action: str, tmp_path: Path) -> None:
    environment = {**os.environ, "PATH": str(tmp_path)}
    environment.pop("NATIVE", None)
    done = subprocess.run(
        [sys.executable, "-m", "dev.native", action],
        cwd=ROOT, capture_output=True, text=True, check=True, env=environment,
    )  # fmt: skip
    assert done.stdout.startswith(f"no {action} of the native decoder: cargo was not found on PATH")
    assert done.stdout.count("\n") == 1


def test_what_is_built_is_what_decode_imports() -> None:
    assert native.MODULE == decode_native.MODULE

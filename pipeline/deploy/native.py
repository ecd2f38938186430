"""Builds of the native decoder (`native/`, in Rust), which is optional wherever it could be.

maturin runs cargo with the versions of Cargo.lock. What it makes depends on the sources and the
compiler alone, not on where the checkout or cargo's home is: paths in messages are replaced.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Final

from connectors.errors import UserError
from pipeline.deploy.builds import Cache
from pipeline.deploy.prerequisites import printed, too_old

MODULE: Final = "streaming_etl_native"


def folder(cache: Cache) -> Path:
    """The crate."""
    return cache.root / "native"


def builds_folder(cache: Cache) -> Path:
    """Whatever its builds leave: cargo's target folder, logs, wheels and zig."""
    return cache.directory / "native"


def inputs(cache: Cache) -> str:
    """Return names and contents of all that a build reads."""
    crate = folder(cache)
    named = (crate / name for name in ("Cargo.toml", "Cargo.lock", "pyproject.toml"))
    paths = [*(path for path in named if path.is_file()), *sorted(crate.glob("src/**/*.rs"))]
    return "".join(f"{path.relative_to(crate)}\n{path.read_text('utf-8')}" for path in paths)


def cargo_problem(cache: Cache) -> str | None:
    """Return what keeps this machine from building it; the crate tells the oldest Rust."""
    manifest = tomllib.loads((folder(cache) / "Cargo.toml").read_text("utf-8"))
    oldest = tuple(map(int, manifest["package"]["rust-version"].split(".")))
    return too_old("cargo", "--version", oldest)


def compiler(cache: Cache) -> str:
    """Return the compiler's version; another one makes other bytes of the same sources."""
    found = shutil.which("rustc")
    return printed(found, "--version").strip() if found else "unknown"


def build(cache: Cache, out: Path, *options: str, **environment: str) -> Path:
    """Build a wheel into an empty folder and return it; UserError that names the log."""
    shutil.rmtree(out, ignore_errors=True)
    builds = builds_folder(cache)
    command = [
        *(sys.executable, "-m", "maturin", "build", "--release", "--locked"),
        *("--manifest-path", str(folder(cache) / "Cargo.toml"), "--interpreter", sys.executable),
        *("--target-dir", str(builds / "target"), "--out", str(out), *options),
    ]
    log = builds / "build.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    variables = {"CARGO_ENCODED_RUSTFLAGS": "\x1f".join(remapped(cache)), **environment}
    with log.open("wb") as file:
        done = subprocess.run(
            command, env=os.environ | variables, stdout=file, stderr=file, check=False
        )
    if done.returncode != 0:
        raise UserError(f"the native decoder could not be built; {log} says why")
    (wheel,) = out.glob("*.whl")
    return wheel


def remapped(cache: Cache) -> list[str]:
    """Return the compiler's options that keep this machine's paths out of what it makes.

    A message of a panic names its source file. rustc takes the last prefix that fits.
    """
    cargo_home = Path(os.environ.get("CARGO_HOME") or Path.home() / ".cargo")
    prefixes = {cargo_home / "registry" / "src": "/crates", folder(cache): "/native"}
    return [f"--remap-path-prefix={path}={name}" for path, name in prefixes.items()]

"""The native decoder's wheel for the platform, whose C library may be as old as glibc 2.17.

zig links against the symbols of that version, on a machine with any newer one. It is fetched only
for this (93 MB), in the version of native/zig.lock.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Final

from connectors.errors import UserError
from connectors.local_files import waiting
from pipeline.deploy import native
from pipeline.deploy.builds import Cache, Say, run

# manylinux2014 is glibc 2.17.
OPTIONS: Final = (
    *("--zig", "--compatibility", "manylinux2014"),
    *("--target", "x86_64-unknown-linux-gnu"),
)

# Or they would be in the home folder.
CACHES: Final = ("ZIG_GLOBAL_CACHE_DIR", "ZIG_LOCAL_CACHE_DIR", "CARGO_ZIGBUILD_CACHE_DIR")


def built(cache: Cache, *, say: Say) -> Path | None:
    """Return the wheel, built where the cache lacks it; None where cargo is absent.

    Raises:
        UserError: zig could not be fetched, or the build failed.
    """
    if problem := native.cargo_problem(cache):
        say(f"the package is without the native decoder: {problem}")
        return None
    lock = native.folder(cache) / "zig.lock"
    tools = (lock.read_text("utf-8"), native.compiler(cache), version("maturin"))
    made_from = (native.inputs(cache), *tools, *OPTIONS)
    digest = hashlib.sha256("".join(made_from).encode()).hexdigest()
    out = native.builds_folder(cache) / "wheels" / digest[:16]
    with waiting(cache.directory / "lock"):
        if not out.is_dir():
            try:
                make(cache, lock, out, say)
            except UserError as error:
                raise UserError(f"{error}\n--no-native makes the package without it.") from error
    (wheel,) = out.glob("*.whl")
    return wheel


def make(cache: Cache, lock: Path, out: Path, say: Say) -> None:
    """Build the wheel beside its place, then put it there whole."""
    zig = fetched_zig(cache, lock, say)
    say("building the native decoder for glibc 2.17 with cargo and zig (1-3 minutes) ...")
    unfinished = out.with_suffix(".unfinished")
    caches = {name: str(native.builds_folder(cache) / "zig-cache") for name in CACHES}
    native.build(cache, unfinished, *OPTIONS, CARGO_ZIGBUILD_ZIG_PATH=str(zig), **caches)
    unfinished.rename(out)


def fetched_zig(cache: Cache, lock: Path, say: Say) -> Path:
    """Return zig's program; pip fetches it the first time and checks its hash."""
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()
    home = native.builds_folder(cache) / f"zig-{digest[:16]}"
    if not home.is_dir():
        say("fetching zig with pip (93 MB) ...")
        unfinished = home.with_suffix(".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        pip += ["--no-compile", "--require-hashes", "--only-binary", ":all:"]
        run([*pip, "--target", str(unfinished), "-r", str(lock)])
        unfinished.rename(home)
    return home / "ziglang" / "zig"

"""The native decoder in a checkout: `python -m dev.native setup|lint|test`.

It needs cargo and is optional: without it, or when it cannot be built, one line says so and decode
uses the Python decoder. NATIVE=required makes that an error.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path
from typing import Final

from connectors.errors import UserError
from connectors.local_files import waiting
from pipeline.deploy import native
from pipeline.deploy.builds import Cache, Part, Say, bring_up_to_date, checkout, is_current

ROOT: Final = Path(__file__).parents[1]
SITE: Final = Path(sysconfig.get_path("platlib"))
INSTEAD: Final = "decode uses the Python decoder"

# cargo-deny reads licences, sources and doubled versions from the crates themselves. Its fourth
# check, of advisories, clones a database from GitHub, which not every machine reaches, and may fail
# from one day to the next: docs/security.md has the command.
DENY: Final = ("--locked", "check", "licenses", "bans", "sources")

# Where Rust comes from a distribution, these may be packages of their own.
CHECKS: Final = {
    "fmt": ("--check",),
    "clippy": ("--quiet", "--all-targets", "--locked", "--", "-D", "warnings"),
}


def parts(cache: Cache, say: Say, site: Path = SITE) -> list[Part]:
    """Return the build for this interpreter, unless cargo is absent.

    One that was built from other sources is removed then: it may decode by older rules.
    """
    part = Part(
        "native", "building the native decoder with cargo (about a minute)", native.inputs(cache),
        site / native.MODULE, lambda: install(cache, say, site),
    )  # fmt: skip
    if is_current(cache, part):
        return [part]
    if problem := native.cargo_problem(cache):
        remove(site)
        do_without(f"{INSTEAD}: {problem}", say)
        return []
    return [part]


def install(cache: Cache, say: Say, site: Path) -> None:
    """Build and install it; a build that fails leaves none, and set-up tries again next time."""
    remove(site)
    try:
        out = native.builds_folder(cache) / "wheel"
        wheel = native.build(cache, out, "--compatibility", "linux")
    except UserError as error:
        do_without(f"{INSTEAD}: {error}", say)
        return
    unfinished = site / f"{native.MODULE}.unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(unfinished)
    # Whole, since a process may import it at any time.
    for path in unfinished.iterdir():
        path.rename(site / path.name)
    unfinished.rmdir()


def remove(site: Path) -> None:
    """Remove what `install` installed. Processes that have it loaded keep their copy."""
    for path in (site / native.MODULE, *site.glob(f"{native.MODULE}-*.dist-info")):
        shutil.rmtree(path, ignore_errors=True)


def do_without(what_and_why: str, say: Say) -> None:
    """Say so; UserError if the environment has NATIVE=required."""
    if os.environ.get("NATIVE") == "required":
        raise UserError(f"NATIVE=required, but {what_and_why}")
    say(what_and_why)


def setup(cache: Cache) -> None:
    """Bring it alone up to date, without the servers."""
    with waiting(cache.directory / "lock"):
        bring_up_to_date(cache, print, parts(cache, print))


def lint(cache: Cache) -> None:
    """Check format, lints, and the licences and sources of all crates."""
    for name, options in CHECKS.items():
        if subprocess.run(
            ["cargo", name, "--version"], capture_output=True, check=False
        ).returncode:
            do_without(f"no cargo {name}: it is not installed", print)
        else:
            cargo(cache, "cargo", name, *options)
    cargo(cache, str(Path(sys.executable).with_name("cargo-deny")), "--log-level", "error", *DENY)


def test(cache: Cache) -> None:
    """Run the crate's own tests."""
    cargo(cache, "cargo", "test", "--quiet", "--locked")


def cargo(cache: Cache, *command: str) -> None:
    """Run a command in the crate; it links the shared library of this interpreter."""
    variables = {
        "CARGO_TARGET_DIR": str(native.builds_folder(cache) / "target"),
        "PYO3_PYTHON": sys.executable,
        "LD_LIBRARY_PATH": str(sysconfig.get_config_var("LIBDIR")),
    }
    folder = native.folder(cache)
    done = subprocess.run(command, cwd=folder, env=os.environ | variables, check=False)
    if done.returncode != 0:
        raise UserError(f"{' '.join(command)} failed in {folder}")


def main(arguments: list[str]) -> int:
    """Run an action; lint and test have nothing to do without cargo."""
    (name,) = arguments
    cache = checkout(ROOT)
    try:
        if name != "setup" and (problem := native.cargo_problem(cache)):
            do_without(f"no {name} of the native decoder: {problem}", print)
        else:
            {"setup": setup, "lint": lint, "test": test}[name](cache)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Install one npm package without its dependencies, compared with a known hash."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from pipeline.deploy.builds import run


def install(folder: Path, package: str, version: str, integrity: str) -> Path:
    """Fetch a package anew into a folder, run none of its scripts; return the package's folder.

    Raises:
        UserError: npm can't fetch it, or it has another hash than `integrity`.
    """
    folder = folder.resolve()  # npm finds no lock file behind a symbolic link.
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    wanted = {"private": True, "dependencies": {package: version}}
    entry = {"version": version, "integrity": integrity}
    packages = {"": wanted, f"node_modules/{package}": entry}
    lock_file = {"lockfileVersion": 3, "requires": True, "packages": packages}
    (folder / "package.json").write_text(json.dumps(wanted), "utf-8")
    (folder / "package-lock.json").write_text(json.dumps(lock_file), "utf-8")
    run(["npm", "ci", "--prefix", str(folder), "--ignore-scripts", "--no-audit", "--no-fund"])
    return folder / "node_modules" / package

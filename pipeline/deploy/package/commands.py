"""The command `streaming-etl package`."""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from pipeline.deploy.package.build import LIMIT_BYTES, RUN_OPTIONS, build
from pipeline.options import ROOT, JsonOption

OutOption = Annotated[Path, typer.Option("--out", help="Where to write the zip.")]
NoNativeOption = Annotated[
    bool, typer.Option("--no-native", help="Leave out the native decoder; decode uses Python's.")
]


def add_to(main: typer.Typer) -> None:
    """Add the command to the main program."""
    main.command(epilog="Example: streaming-etl package --out build/streaming-etl.zip")(package)


def package(
    out: OutOption = ROOT / "build" / "streaming-etl.zip",
    no_native: NoNativeOption = False,
    as_json: JsonOption = False,
) -> None:
    """Build the zip for Managed Service for Apache Flink (FLINK-1_20), the same bytes each time.

    Prints its size and SHA-256, and the property group that tells the platform what is where in it.
    Other versions of rustc make other bytes of the native decoder, so its version is printed too.
    """
    say = partial(print, file=sys.stderr)
    built = build(ROOT, out, say=say, with_native=not no_native)
    report = {
        "file": str(built.path),
        "files": built.files,
        "bytes": built.bytes,
        "limit_bytes": LIMIT_BYTES,
        "sha256": built.sha256,
        "native": bool(built.rustc),
        "rustc": built.rustc or None,
        "run_options": RUN_OPTIONS,
    }
    megabytes, limit = built.bytes / 1e6, LIMIT_BYTES / 1e6
    text = (
        f"{built.path}: {built.files:,} files, {megabytes:.1f} MB of the {limit:.0f} allowed\n"
        f"sha256: {built.sha256}\n"
        f"native decoder: {f'built by {built.rustc}' if built.rustc else 'none'}\n"
        f"property group to start it with:\n{json.dumps(RUN_OPTIONS, indent=2)}"
    )
    print(json.dumps(report) if as_json else text)

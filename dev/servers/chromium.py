"""A headless Chromium from one npm package, to test and picture the HTML page; nothing is installed
on the machine.

The package is made for AWS Lambda: it has libraries and fonts with it, so its picture of a page is
the same on every machine. All of it is compressed by Brotli, which Node unpacks.
"""

from __future__ import annotations

import platform
import shutil
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dev.servers import npm
from dev.servers.kinesis import node
from pipeline.deploy.builds import run

PACKAGE: Final = "@sparticuz/chromium"
VERSION: Final = "149.0.0"
INTEGRITY: Final = (
    "sha512-2NECBVKlUA9xIUXb4fT8OoGKdAJs+I2tNYscO8FwcxCK"
    "CWA7FmpPI0fdVxGJoIJglrFZYn+4YEJqChq4rdrxQg=="
)
"""What npm compares the package with."""

_MACHINE: Final = "x86_64"
_ARCHIVES: Final = ("al2023.tar", "fonts.tar")
_UNPACK: Final = """
const [from, to] = process.argv.slice(1);
require("stream").pipeline(require("fs").createReadStream(from),
  require("zlib").createBrotliDecompress(), require("fs").createWriteStream(to),
  (error) => { if (error) throw error; });
"""
_FONTS: Final = """\
<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><dir>{folder}/fonts</dir><cachedir>{folder}/fonts-cache</cachedir></fontconfig>
"""


@dataclass(frozen=True, slots=True)
class Chromium:
    """An unpacked Chromium in its folder."""

    folder: Path

    @property
    def program(self) -> Path:
        """The program to start."""
        return self.folder / "chromium"

    @property
    def environment(self) -> dict[str, str]:
        """The variables that make it find its libraries and fonts."""
        folder = str(self.folder)
        return {"LD_LIBRARY_PATH": f"{folder}/lib", "FONTCONFIG_PATH": folder}


def machine_problem() -> str | None:
    """The package has a program for one kind of processor only."""
    found = platform.machine()
    return None if found == _MACHINE else f"{PACKAGE} is for {_MACHINE}, this is {found}"


def install(folder: Path) -> None:
    """Fetch the package and unpack it into a folder; UserError if that fails."""
    shutil.rmtree(folder, ignore_errors=True)  # Libraries and fonts of another version.
    package = npm.install(folder / "npm", PACKAGE, VERSION, INTEGRITY)
    for name in ("chromium", *_ARCHIVES):
        packed = package / "bin" / f"{name}.br"
        run([node(), "-e", _UNPACK, str(packed), str(folder / name)])
    for name in _ARCHIVES:
        with tarfile.open(folder / name) as archive:
            # npm compared it with the hash above; Python before 3.11.4 has no filter to give here.
            archive.extractall(folder)
        (folder / name).unlink()
    (folder / "fonts.conf").write_text(_FONTS.format(folder=folder.resolve()), "utf-8")
    shutil.rmtree(folder / "npm")
    Chromium(folder).program.chmod(0o755)

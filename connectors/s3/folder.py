"""A local folder as a store of objects."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from connectors.errors import UserError
from connectors.local_files import waiting
from connectors.s3.protocol import BUFFER_BYTES, Store, Stored, Version, without_hidden


class FolderStore:
    """The files below a local folder; where the folder is absent, there are none."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.uri = f"file://{root.absolute()}"

    def listing(self) -> list[Stored]:
        return without_hidden(self.everything())

    def everything(self, below: str = "") -> list[Stored]:
        # Not rglob, which keeps a Path of every file that it returned.
        folders = os.walk(self._root / below, onerror=_refuse_folder)
        paths = (os.path.join(folder, name) for folder, _, names in folders for name in names)
        found = (self.stat(os.path.relpath(path, self._root)) for path in paths)
        return sorted(stored for stored in found if stored)

    def read(self, path: str) -> bytes:
        with self._reporting("read", path):
            return (self._root / path).read_bytes()

    def open(self, path: str, buffer_bytes: int = BUFFER_BYTES) -> io.BufferedReader:
        with self._reporting("open", path):
            return io.BufferedReader(_LocalFile(self._root / path), buffer_bytes)

    def stat(self, path: str) -> Stored | None:
        try:
            with self._reporting("look at", path):
                found = os.stat(self._root / path)
        except FileNotFoundError:
            return None
        return Stored(path, found.st_size, found.st_mtime_ns // 10**6)

    def version(self, path: str) -> Version | None:
        try:
            return Version(self.read(path), "")
        except FileNotFoundError:
            return None

    def write(self, path: str, content: bytes) -> None:
        with self._reporting("write", path), self._replacing(path) as unfinished:
            unfinished.write_bytes(content)

    def replace(self, path: str, content: bytes, expected: Version | None) -> bool:
        target = self._root / path
        with self._reporting("write", path), waiting(target.with_name(f".{target.name}.lock")):
            observed = self.version(path)
            if observed != expected:
                return observed is not None and observed.content == content
            self.write(path, content)
        return True

    def copy(self, path: str, target: str, into: Store | None = None) -> None:
        into = into or self
        assert isinstance(into, FolderStore), "the bytes would have to pass through here"
        with self._reporting("copy", path), into._replacing(target) as unfinished:
            shutil.copyfile(self._root / path, unfinished)

    def delete(self, path: str) -> None:
        with self._reporting("delete", path):
            (self._root / path).unlink(missing_ok=True)

    @contextmanager
    def _replacing(self, path: str) -> Iterator[Path]:
        """Yield a hidden file to write, which then becomes the file of that path."""
        target = self._root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        unfinished = target.with_name(f".{target.name}")
        yield unfinished
        unfinished.replace(target)

    @contextmanager
    def _reporting(self, action: str, path: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise
        except OSError as error:
            raise UserError(f"cannot {action} {self._root / path}: {error.strerror}") from error


class _LocalFile(io.FileIO):
    """A local file whose read errors are no sign of damaged content."""

    def readinto(self, buffer: Any) -> int:
        try:
            return super().readinto(buffer) or 0
        except OSError as error:
            raise UserError(f"cannot read {self.name!r}: {error.strerror}") from error


def _refuse_folder(error: OSError) -> None:
    """Without this, os.walk passes over a folder that it must not list."""
    if not isinstance(error, FileNotFoundError):
        raise UserError(f"cannot list {error.filename}: {error.strerror}") from error

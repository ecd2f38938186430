"""What every store of objects offers."""

from __future__ import annotations

import io
from typing import Final, NamedTuple, Protocol

BUFFER_BYTES: Final = 1024 * 1024


class Stored(NamedTuple):
    """An object: its path below the store's root, its size in bytes, and when it was written.

    `modified_ms` is epoch milliseconds; None where no listing returned the object.
    """

    path: str
    size: int
    modified_ms: int | None = None


class Version(NamedTuple):
    """The content of an object, and what distinguishes this version of it from others."""

    content: bytes
    etag: str


class ReadableStore(Protocol):
    """Objects to list and read. Methods raise UserError if the store fails or denies access."""

    def listing(self) -> list[Stored]:
        """Return all objects in the order of their paths.

        Names that begin with `_` or `.` are left out, and all below folders named so: by Hadoop's
        convention they are no data.
        """

    def everything(self, below: str = "") -> list[Stored]:
        """Return all objects below a folder, also those that `listing` leaves out."""

    def read(self, path: str) -> bytes:
        """Return all bytes of one version of an object; FileNotFoundError if there is none."""

    def open(self, path: str, buffer_bytes: int = BUFFER_BYTES) -> io.BufferedReader:
        """Open an object to read and seek in; the caller closes it.

        At least `buffer_bytes` are fetched at a time. Reading raises UserError, never OSError, so
        that a store that fails is not taken for a damaged file.

        Raises:
            FileNotFoundError: there is no such object.
        """


class Store(ReadableStore, Protocol):
    """Objects to read and change. Each change may be repeated: the outcome is the same."""

    @property
    def uri(self) -> str:
        """Return the address of the root, without a slash at its end."""

    def stat(self, path: str) -> Stored | None:
        """Return the size and time of an object; None if there is none."""

    def version(self, path: str) -> Version | None:
        """Return the content of an object and its ETag; None if there is none."""

    def write(self, path: str, content: bytes) -> None:
        """Write a whole object, or nothing; an object of that path is replaced."""

    def replace(self, path: str, content: bytes, expected: Version | None) -> bool:
        """Write only if the object is still `expected` (None: absent); return False if not.

        Of concurrent writers over one version exactly one succeeds.
        """

    def copy(self, path: str, target: str, into: Store | None = None) -> None:
        """Copy an object to `target`, in this store or `into` another one of the same kind.

        Raises:
            FileNotFoundError: there is no such object.
        """

    def delete(self, path: str) -> None:
        """Delete an object, if it is there."""


def without_hidden(objects: list[Stored]) -> list[Stored]:
    """Return what a listing has of these objects."""
    return [each for each in objects if not is_hidden(each.path)]


def is_hidden(path: str) -> bool:
    """Return whether a name or a folder of a path begins with `_` or `.`."""
    return any(part.startswith(("_", ".")) for part in path.split("/"))

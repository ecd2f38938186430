"""Copies, deletes and writes single objects, on S3 or in local folders."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol
from urllib.parse import urlsplit

from botocore.exceptions import ClientError

from connectors.local_files import waiting
from connectors.s3.storage import s3_client

_MISSING: Final = frozenset({"NoSuchKey", "404"})
_CHANGED: Final = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "412", "409"})


class Tagged(NamedTuple):
    """The content of an object, and what tells this version of it from others."""

    content: bytes
    tag: str


class Objects(Protocol):
    """Objects by URI. Each method may be repeated: the outcome is the same."""

    def copy(self, source: str, target: str) -> None:
        """Copies an object, over one that is there; the bytes don't pass through here."""

    def delete(self, uri: str) -> None:
        """Deletes an object, if it is there."""

    def write(self, uri: str, content: bytes) -> None:
        """Writes an object whole, or not at all, over one that is there."""

    def exists(self, uri: str) -> bool:
        """Whether there is such an object."""

    def read(self, uri: str) -> bytes | None:
        """All bytes of an object; None where there is none."""

    def tagged(self, uri: str) -> Tagged | None:
        """All bytes of an object and the tag of this version of it; None where there is none."""

    def write_over(self, uri: str, content: bytes, before: Tagged | None) -> bool:
        """`write`, if what is there is still `before` (None: nothing); False where it isn't."""


def objects_of(uri: str, environment: Mapping[str, str]) -> Objects:
    """What reaches the objects of that kind of URI."""
    return _S3(environment) if urlsplit(uri).scheme in ("s3", "s3a") else _Folders()


class _S3:
    def __init__(self, environment: Mapping[str, str]) -> None:
        self._client: Any = s3_client(environment)

    def copy(self, source: str, target: str) -> None:
        given = dict(zip(("Bucket", "Key"), _place(source), strict=True))
        bucket, key = _place(target)
        self._client.copy_object(CopySource=given, Bucket=bucket, Key=key)

    def delete(self, uri: str) -> None:
        bucket, key = _place(uri)
        self._client.delete_object(Bucket=bucket, Key=key)

    def write(self, uri: str, content: bytes) -> None:
        bucket, key = _place(uri)
        self._client.put_object(Bucket=bucket, Key=key, Body=content)

    def exists(self, uri: str) -> bool:
        bucket, key = _place(uri)
        try:
            self._client.head_object(Bucket=bucket, Key=key)
        except ClientError as error:
            if error.response["Error"]["Code"] in _MISSING:
                return False
            raise
        return True

    def read(self, uri: str) -> bytes | None:
        found = self.tagged(uri)
        return found.content if found else None

    def tagged(self, uri: str) -> Tagged | None:
        bucket, key = _place(uri)
        try:
            found = self._client.get_object(Bucket=bucket, Key=key)
        except ClientError as error:
            if error.response["Error"]["Code"] in _MISSING:
                return None
            raise
        return Tagged(found["Body"].read(), found["ETag"])

    def write_over(self, uri: str, content: bytes, before: Tagged | None) -> bool:
        bucket, key = _place(uri)
        condition = {"IfMatch": before.tag} if before else {"IfNoneMatch": "*"}
        try:
            self._client.put_object(Bucket=bucket, Key=key, Body=content, **condition)
        except ClientError as error:
            if error.response["Error"]["Code"] not in _CHANGED | _MISSING:
                raise
            # A request that was repeated because its answer got lost is refused, and was done.
            return self.read(uri) == content
        return True


class _Folders:
    def copy(self, source: str, target: str) -> None:
        _path(target).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(_path(source), _path(target))

    def delete(self, uri: str) -> None:
        _path(uri).unlink(missing_ok=True)

    def write(self, uri: str, content: bytes) -> None:
        target = _path(uri)
        target.parent.mkdir(parents=True, exist_ok=True)
        half = target.with_name(f".{target.name}")
        half.write_bytes(content)
        half.rename(target)

    def exists(self, uri: str) -> bool:
        return _path(uri).exists()

    def read(self, uri: str) -> bytes | None:
        return _path(uri).read_bytes() if _path(uri).exists() else None

    def tagged(self, uri: str) -> Tagged | None:
        content = self.read(uri)
        return None if content is None else Tagged(content, "")

    def write_over(self, uri: str, content: bytes, before: Tagged | None) -> bool:
        with waiting(_path(uri).with_name(f".{_path(uri).name}.lock")):
            found = self.tagged(uri)
            if found != before:
                return found is not None and found.content == content
            self.write(uri, content)
        return True


def _place(uri: str) -> tuple[str, str]:
    parts = urlsplit(uri)
    return parts.netloc, parts.path.lstrip("/")


def _path(uri: str) -> Path:
    return Path(urlsplit(uri).path)

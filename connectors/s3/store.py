"""Objects below a root: an S3 prefix or a local folder, behind one interface.

boto3 alone reaches S3, so that every request uses the same chain of credentials (environment,
profile, SSO, web identity, container, instance). Keys are taken literally: `s//t` and `s/./t` are
prefixes of their own.
"""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    IncompleteReadError,
    ReadTimeoutError,
    ResponseStreamingError,
)

from connectors.aws_errors import reported
from connectors.errors import UserError
from connectors.s3.folder import FolderStore
from connectors.s3.protocol import (
    BUFFER_BYTES,
    ReadableStore,
    Store,
    Stored,
    Version,
    is_hidden,
    without_hidden,
)

__all__ = [
    "BUFFER_BYTES",
    "FolderStore",
    "ReadableStore",
    "S3Store",
    "Store",
    "Stored",
    "Version",
    "is_hidden",
    "is_local",
    "local_path",
    "open_store",
    "s3_client",
]

_NO_ENVIRONMENT: Final[Mapping[str, str]] = MappingProxyType({})
_SETTINGS: Final = Config(
    connect_timeout=5,
    read_timeout=60,
    retries={"mode": "standard", "total_max_attempts": 8},
    max_pool_connections=16,
    s3={"addressing_style": "path"},
)
_MISSING: Final = frozenset({"NoSuchKey", "404"})
_CHANGED: Final = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "412", "409"})
# botocore repeats requests, but not the reading of a body that breaks off.
_BROKEN_BODY: Final = (IncompleteReadError, ReadTimeoutError, ResponseStreamingError)
_BODY_ATTEMPTS: Final = 5


def open_store(uri: str, environment: Mapping[str, str] = _NO_ENVIRONMENT) -> Store:
    """Return the store at `s3a://bucket/prefix`, `s3://bucket/prefix`, `file:///folder` or a path.

    Of the environment, `S3_ENDPOINT` is the address of another S3 service, and the keys and the
    region have AWS's own names; what is absent comes from boto3's chain.

    Raises:
        UserError: the address is none of these.
    """
    scheme, separator, rest = uri.partition("://")
    if separator and scheme in ("s3", "s3a"):
        bucket, _, prefix = rest.partition("/")
        if bucket:
            return S3Store(s3_client(environment), scheme, bucket, prefix.strip("/"))
    elif scheme == "file" and rest.startswith("/") or (uri and not separator):
        return FolderStore(local_path(uri))
    raise UserError(f"cannot read {uri!r}: use s3a://bucket/prefix or file:///folder")


def is_local(uri: str) -> bool:
    """Return whether an address is that of a local file or folder."""
    return "://" not in uri or uri.startswith("file://")


def local_path(uri: str) -> Path:
    """Return the path of a local file or folder."""
    return Path(uri.removeprefix("file://"))


def s3_client(environment: Mapping[str, str]) -> Any:
    """Return a boto3 client for S3; it may be used by several threads.

    Raises:
        UserError: a setting or profile of AWS is wrong.
    """
    endpoint = environment.get("S3_ENDPOINT")
    with reported("connect to S3"):
        return boto3.client(
            "s3",
            endpoint_url=endpoint,
            aws_access_key_id=environment.get("AWS_ACCESS_KEY_ID"),
            aws_secret_access_key=environment.get("AWS_SECRET_ACCESS_KEY"),
            aws_session_token=environment.get("AWS_SESSION_TOKEN"),
            # A server of our own has no region, but a signature needs one.
            region_name=environment.get("AWS_REGION") or ("us-east-1" if endpoint else None),
            config=_SETTINGS,
        )


class S3Store:
    """The objects below a prefix of an S3 bucket."""

    def __init__(self, client: Any, scheme: str, bucket: str, prefix: str) -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = prefix + "/" if prefix else ""
        self.uri = f"{scheme}://{bucket}/{prefix}".rstrip("/")

    def listing(self) -> list[Stored]:
        return without_hidden(self.everything())

    def everything(self, below: str = "") -> list[Stored]:
        prefix = self._prefix + (f"{below.rstrip('/')}/" if below else "")
        with self._reporting("list", below):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=prefix
            )
            entries = [entry for page in pages for entry in page.get("Contents", ())]
        return sorted(self._stored(each) for each in entries if not each["Key"].endswith("/"))

    def _stored(self, entry: Mapping[str, Any]) -> Stored:
        path = entry["Key"][len(self._prefix) :]
        return Stored(path, entry["Size"], int(entry["LastModified"].timestamp() * 1000))

    def read(self, path: str) -> bytes:
        with self._reporting("read", path):
            return self._get(path).content

    def open(self, path: str, buffer_bytes: int = BUFFER_BYTES) -> io.BufferedReader:
        with self._reporting("open", path):
            head = self._client.head_object(**self._at(path))
        ranges = _Ranges(self, path, head["ContentLength"], head["ETag"])
        return io.BufferedReader(ranges, buffer_bytes)

    def stat(self, path: str) -> Stored | None:
        try:
            with self._reporting("look at", path):
                head = self._client.head_object(**self._at(path))
        except FileNotFoundError:
            return None
        return Stored(path, head["ContentLength"], int(head["LastModified"].timestamp() * 1000))

    def version(self, path: str) -> Version | None:
        try:
            with self._reporting("read", path):
                return self._get(path)
        except FileNotFoundError:
            return None

    def write(self, path: str, content: bytes) -> None:
        with self._reporting("write", path):
            self._client.put_object(**self._at(path), Body=content)

    def replace(self, path: str, content: bytes, expected: Version | None) -> bool:
        condition = {"IfMatch": expected.etag} if expected else {"IfNoneMatch": "*"}
        with self._reporting("write", path):
            try:
                self._client.put_object(**self._at(path), Body=content, **condition)
            except ClientError as error:
                if error.response["Error"]["Code"] not in _CHANGED | _MISSING:
                    raise
                # A retry after a lost response is refused though the first request succeeded.
                observed = self.version(path)
                return observed is not None and observed.content == content
        return True

    def copy(self, path: str, target: str, into: Store | None = None) -> None:
        into = into or self
        assert isinstance(into, S3Store), "the bytes would have to pass through here"
        with self._reporting("copy", path):
            into._client.copy_object(CopySource=self._at(path), **into._at(target))

    def delete(self, path: str) -> None:
        with self._reporting("delete", path):
            self._client.delete_object(**self._at(path))

    def read_range(self, path: str, start: int, end: int, etag: str) -> bytes:
        """Return the bytes from `start` to before `end` of that version of an object.

        Raises:
            UserError: it was changed or deleted meanwhile, or the store fails.
        """
        try:
            with self._reporting("read", path):
                return self._get(path, Range=f"bytes={start}-{end - 1}", IfMatch=etag).content
        except FileNotFoundError as error:
            raise UserError(f"cannot read {self.uri}/{path}: it was deleted meanwhile") from error

    def _get(self, path: str, **options: str) -> Version:
        attempt = 1
        while True:
            response = self._client.get_object(**self._at(path), **options)
            try:
                return Version(response["Body"].read(), response["ETag"])
            except _BROKEN_BODY:
                if attempt == _BODY_ATTEMPTS:
                    raise
            attempt += 1

    def _at(self, path: str) -> dict[str, str]:
        return {"Bucket": self._bucket, "Key": self._prefix + path}

    @contextmanager
    def _reporting(self, action: str, path: str) -> Iterator[None]:
        """Translate the errors of botocore."""
        uri = f"{self.uri}/{path}".rstrip("/")
        try:
            yield
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code in _MISSING:
                raise FileNotFoundError(errno.ENOENT, "no such object", uri) from error
            reason = error.response["Error"].get("Message", "")
            raise UserError(f"cannot {action} {uri}: {code}: {reason}") from error
        except BotoCoreError as error:
            raise UserError(f"cannot {action} {uri}: {error}") from error


class _Ranges(io.RawIOBase):
    """One version of an S3 object as a raw file: each read is one request for a range."""

    def __init__(self, store: S3Store, path: str, size: int, etag: str) -> None:
        self._store, self._path, self._size, self._etag = store, path, size, etag
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._position = offset + (0, self._position, self._size)[whence]
        return self._position

    def readinto(self, buffer: Any) -> int:
        end = min(self._position + len(buffer), self._size)
        if end <= self._position:
            return 0
        content = self._store.read_range(self._path, self._position, end, self._etag)
        buffer[: len(content)] = content
        self._position += len(content)
        return len(content)

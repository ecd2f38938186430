"""Open multipart uploads below a prefix: parts that no object has yet, and that cost storage.

Flink opens one for each file and completes it when the checkpoint that covers the file is done.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from botocore.exceptions import ClientError

from connectors.s3.client import reporting, s3_client

PROBE: Final = "_streaming-etl-probe"
"""How the names of probes begin; readers of a lake take none of them for data."""

_ENDED: Final = "NoSuchUpload"


class Upload(NamedTuple):
    """An open upload: the object's address, S3's id, its start (epoch ms), and its parts' bytes."""

    uri: str
    upload_id: str
    started_ms: int
    bytes: int


class Uploads:
    """The open uploads below `s3a://bucket/prefix`, whose own name must be a folder's."""

    def __init__(self, uri: str, environment: Mapping[str, str]) -> None:
        self._client = s3_client(environment)
        self._scheme, _, rest = uri.partition("://")
        self._bucket, _, prefix = rest.partition("/")
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._uri = uri

    def open(self) -> Iterator[Upload]:
        """Yield them in the order of their keys; UserError if S3 fails or denies access."""
        with reporting("list the uploads of", self._uri):
            pages = self._client.get_paginator("list_multipart_uploads").paginate(
                Bucket=self._bucket, Prefix=self._prefix
            )
            for page in pages:
                for entry in page.get("Uploads", ()):
                    yield from self._described(entry)

    def abort(self, upload: Upload) -> bool:
        """Abort an upload, its parts are deleted; return False if it has ended meanwhile."""
        with reporting("abort the upload of", upload.uri):
            try:
                self._client.abort_multipart_upload(
                    **self._at(self._key(upload.uri), upload.upload_id)
                )
            except ClientError as error:
                if error.response["Error"]["Code"] != _ENDED:
                    raise
                return False
        return True

    def probe(self) -> None:
        """Do once what Flink's sinks do: write and delete an object, begin and abort an upload.

        Raises:
            UserError: S3 fails, denies access, or has no such bucket.
        """
        key = {"Bucket": self._bucket, "Key": f"{self._prefix}{PROBE}-{uuid.uuid4().hex}"}
        with reporting("write below", self._uri):
            self._client.put_object(**key, Body=b"")
            self._client.delete_object(**key)
            upload = self._client.create_multipart_upload(**key)["UploadId"]
            self._client.abort_multipart_upload(**key, UploadId=upload)

    def _described(self, entry: Mapping[str, Any]) -> Iterator[Upload]:
        uri = f"{self._scheme}://{self._bucket}/{entry['Key']}"
        started_ms = int(entry["Initiated"].timestamp() * 1000)
        size = self._size(entry["Key"], entry["UploadId"])
        if size is not None:
            yield Upload(uri, entry["UploadId"], started_ms, size)

    def _size(self, key: str, upload_id: str) -> int | None:
        """Return the bytes of its parts; None if it has ended since it was listed."""
        parts = self._client.get_paginator("list_parts").paginate(**self._at(key, upload_id))
        try:
            return sum(int(part["Size"]) for page in parts for part in page.get("Parts", ()))
        except ClientError as error:
            if error.response["Error"]["Code"] != _ENDED:
                raise
            return None

    def _at(self, key: str, upload_id: str) -> dict[str, str]:
        return {"Bucket": self._bucket, "Key": key, "UploadId": upload_id}

    def _key(self, uri: str) -> str:
        return uri.removeprefix(f"{self._scheme}://{self._bucket}/")

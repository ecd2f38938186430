"""Manifests: each partition's current files, for readers that don't know the lake's records.

The format is Hive's SymlinkTextInputFormat, which Athena, Trino and Hive read: a text file in a
folder named as the partition, with one URI a line. One write replaces it. It is as recent as the
last run: files that Flink added later are not in it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

SYMLINKS: Final = "_symlinks"


def manifest_path(partition: str) -> str:
    """Return the path of a partition's manifest, relative to the lake."""
    return f"{SYMLINKS}/{partition}/manifest"


def manifest(lake: str, paths: Iterable[str]) -> bytes:
    """Return the content of a manifest."""
    return "".join(f"{uri(lake, path)}\n" for path in paths).encode()


def uri(lake: str, path: str) -> str:
    """Return a file's URI for readers other than Hadoop: `s3`, never `s3a`."""
    parts = urlsplit(lake)
    if parts.scheme == "s3a":
        return f"s3://{parts.netloc}{parts.path.rstrip('/')}/{path}"
    return f"{lake.rstrip('/')}/{path}"

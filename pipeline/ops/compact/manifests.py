"""Says which files count to readers that don't know our rule: a manifest for each partition.

Hive's SymlinkTextInputFormat, which Athena, Trino and Hive read: a text file in a folder named as
the partition, with one address a line. One write replaces it. It is as new as the last run: files
that Flink added since are not in it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

SYMLINKS: Final = "_symlinks"


def manifest_path(partition: str) -> str:
    """Where the manifest of a partition is, below the lake."""
    return f"{SYMLINKS}/{partition}/manifest"


def manifest(lake: str, paths: Iterable[str]) -> bytes:
    """The text of a manifest."""
    return "".join(f"{uri(lake, path)}\n" for path in paths).encode()


def uri(lake: str, path: str) -> str:
    """The address of a file as readers other than Hadoop know it: `s3`, never `s3a`."""
    parts = urlsplit(lake)
    if parts.scheme == "s3a":
        return f"s3://{parts.netloc}{parts.path.rstrip('/')}/{path}"
    return f"{lake.rstrip('/')}/{path}"

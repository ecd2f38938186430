"""Flink SQL tables of Parquet files on S3 or in a local folder: large records. Exactly once.

All other files are made in Python; see `connectors.flink.files`. A file becomes visible when the
checkpoint that covers it completes; after a crash a reader sees the files of completed checkpoints
only. Unfinished multipart uploads are left to the bucket's lifecycle rule and to `streaming-etl
uploads`, since a retained checkpoint may still need them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from connectors.sql import create_table, identifier

_FORMAT = {
    "format": "parquet",
    # int64 timestamps: Flink's default is the deprecated INT96.
    "parquet.write.int64.timestamp": "true",
    "parquet.timestamp.time.unit": "millis",
    "parquet.utc-timezone": "true",
    "parquet.compression": "ZSTD",
    "parquet.compression.codec.zstd.level": "1",
    "parquet.enable.dictionary": "false",
}


def parquet_table(
    name: str,
    columns: Mapping[str, str],
    path: str,
    partition_keys: Sequence[str],
    options: Mapping[str, str] | None = None,
) -> str:
    """Return the CREATE statement of a table of Parquet files in `key=value/` folders at `path`."""
    keys = ", ".join(identifier(key) for key in partition_keys)
    settings = {"connector": "filesystem", "path": path, **_FORMAT, **(options or {})}
    return create_table(name, columns, settings, partitioned_by=f"PARTITIONED BY ({keys}) ")

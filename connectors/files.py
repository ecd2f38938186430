"""Parquet on S3 (or a local folder) through Flink's filesystem connector. Exactly once.

A file becomes visible when the checkpoint that covers it completes; after a crash a reader sees
the files of the last completed checkpoint and nothing else. Unfinished uploads are left to the
bucket's lifecycle rule, since a retained checkpoint may still need them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from connectors.sql import create_table, identifier

# int64 timestamps: Flink writes the old INT96 unless told otherwise.
_TIMESTAMPS = {
    "parquet.write.int64.timestamp": "true",
    "parquet.timestamp.time.unit": "millis",
    "parquet.utc-timezone": "true",
}


def parquet_table(
    name: str,
    columns: Mapping[str, str],
    *,
    path: str,
    partition_keys: Sequence[str],
    compression: str = "ZSTD",
    dictionary: bool = False,
    page_bytes: int = 65_536,
    file_bytes: int = 134_217_728,
    one_writer_per_partition: bool = False,
    success_file: bool = False,
) -> str:
    """A partitioned table of Parquet files below `path`, as `key=value/` folders.

    `one_writer_per_partition` shuffles by the partition keys, so that one task writes one folder
    and files are few and large.
    """
    keys = ", ".join(identifier(key) for key in partition_keys)
    options = {
        "connector": "filesystem",
        "path": path,
        "format": "parquet",
        **_TIMESTAMPS,
        "parquet.compression": compression,
        "parquet.enable.dictionary": str(dictionary).lower(),
        "parquet.page.size": str(page_bytes),
        "sink.rolling-policy.file-size": f"{file_bytes} b",
        "sink.shuffle-by-partition.enable": str(one_writer_per_partition).lower(),
        "sink.partition-commit.policy.kind": "success-file" if success_file else "",
    }
    return create_table(name, columns, options, partitioned_by=f"PARTITIONED BY ({keys}) ")

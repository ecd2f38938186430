"""Whether the rows that are collected for files fit into the heap of the cluster's tasks.

Flink's state backend `hashmap` keeps them there; RocksDB keeps them on disk. How many there are
depends on the rate, but never more than `bucket_bytes` in each bucket.
"""

from __future__ import annotations

from typing import Final

from connectors.errors import UserError
from connectors.flink.rest import Cluster
from pipeline.collect.buckets import bucket_count
from pipeline.config.model import Config

_MIB: Final = 1 << 20


def collected_bytes(config: Config, parallelism: int) -> int:
    """Return the most that is collected in one task, in bytes."""
    full = sum(
        bucket_count(section, parallelism, config.job.max_parallelism) * section.bucket_bytes
        for section in config.file_sinks.values()
    )
    return round(full / parallelism)


def refuse_too_little(config: Config, cluster: Cluster) -> str:
    """Return a warning if full buckets take more than half of the heap, else an empty text.

    Raises:
        UserError: they do not fit into the heap at all.
    """
    heap = cluster.heap_of_a_slot()
    if heap is None:
        return ""
    parallelism = config.job.parallelism or int(cluster.option("parallelism.default") or 1)
    full = collected_bytes(config, parallelism)
    if full <= heap / 2:
        return ""
    problem = (
        f"full buckets of the lake, the archive and the dead letters take {full / _MIB:,.0f} MiB in"
        f" each task, and its TaskManager has {heap / _MIB:,.0f} MiB of heap for it"
        " (taskmanager.memory.task.heap.size); lower bucket_bytes or lake.buckets, or set the"
        " cluster's state.backend.type to rocksdb"
    )
    if full > heap:
        raise UserError(f"{problem}.")
    return f"warning: {problem}"

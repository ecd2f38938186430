"""The keys that collect a step's rows, and when and at which size their files are written.

A key is `<step>/<number>`. Its rows are one bucket: they are collected together, and closed
together into files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from typing import Final, NamedTuple
from zlib import crc32

from pipeline.config.model import Archive, Config, DeadLetters, Lake

STEPS: Final = ("lake", "archive", "dead_letters")
LAKE_BUCKETS: Final = 4
"""The default number of the lake's buckets for each task."""
COMPRESSION: Final = "ZSTD"
"""Parquet's codec where the configuration has none."""


class Target(NamedTuple):
    """What a step's files need: its keys, how long and how much they collect, Parquet's codec."""

    step: str
    keys: tuple[str, ...]
    file_seconds: float
    bucket_bytes: int
    compression: str


def step_of(key: str) -> str:
    """Return the step of a key."""
    return key.partition("/")[0]


def targets(config: Config, parallelism: int, key_group: Callable[[str], int]) -> dict[str, Target]:
    """Return the targets of the steps that have a path.

    `key_group` returns Flink's key group of a key, of the job's maximum parallelism.
    """
    groups = config.job.max_parallelism
    return {
        step: Target(
            step,
            keys=_keys(
                step, bucket_count(section, parallelism, groups), parallelism, groups, key_group
            ),
            file_seconds=section.file_seconds,
            bucket_bytes=section.bucket_bytes,
            compression=section.compression if isinstance(section, Lake) else COMPRESSION,
        )
        for step, section in config.file_sinks.items()
    }


def bucket_count(section: Lake | Archive | DeadLetters, parallelism: int, groups: int) -> int:
    """Return how many buckets a step has, at most one for each key group."""
    number = parallelism
    if isinstance(section, Lake):
        number = section.buckets or LAKE_BUCKETS * parallelism
    return min(number, groups)


def due_ms(target: Target, key: str, now_ms: int) -> int:
    """Return when a bucket that has its first row now is closed, in epoch milliseconds.

    That is at most `file_seconds` from now. Buckets take turns, so that they don't close together.
    """
    period = max(1, round(target.file_seconds * 1000))
    offset = round(period * _phase(target, key))
    return now_ms + period - (now_ms - offset) % period


def _phase(target: Target, key: str) -> float:
    """Return the place of a key's turn in a period, 0 up to 1.

    Steps have their turns between each other's. A key of an earlier configuration has any turn.
    """
    if key not in target.keys:
        return crc32(key.encode()) / 2**32
    between = STEPS.index(target.step) / len(STEPS)
    return (target.keys.index(key) + between) / len(target.keys)


def _keys(
    step: str, number: int, parallelism: int, groups: int, key_group: Callable[[str], int]
) -> tuple[str, ...]:
    """Return keys that spread evenly over the key groups, and so over the tasks.

    Neighbours are on different tasks, which so close their buckets in turn.
    """
    spread: dict[int, str] = {}
    names: Iterator[str] = (f"{step}/{i}" for i in count())
    while len(spread) < number:
        key = next(names)
        spread.setdefault(key_group(key) * number // groups, key)
    stride = max(1, number // parallelism)
    return tuple(spread[i] for start in range(stride) for i in range(start, number, stride))

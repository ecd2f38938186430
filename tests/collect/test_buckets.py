"""Keys spread evenly over the tasks, and buckets close in turn, never later than they should."""

from __future__ import annotations

from collections import Counter
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.collect.buckets import Target, due_ms, step_of, targets
from pipeline.config.model import Archive, Config, DeadLetters, Job, Lake, Source

GROUPS = 128


def key_group(key: str) -> int:
    """As uneven for small numbers as Flink's."""
    return crc32(key.encode()) % GROUPS


def config(lake: Lake | None = None, **sections: Archive | DeadLetters) -> Config:
    job = Job(max_parallelism=GROUPS)
    return Config(source=Source(kafka_topics=("t",)), lake=lake, job=job, **sections)  # type: ignore[arg-type]


def target(keys: tuple[str, ...], seconds: float = 60, step: str = "lake") -> Target:
    return Target(step, keys, file_seconds=seconds, bucket_bytes=1 << 25, compression="ZSTD")


@pytest.mark.parametrize("parallelism", [1, 2, 3, 4, 16, 100, 128])
def test_each_task_has_the_same_number_of_keys(parallelism: int) -> None:
    found = targets(
        config(Lake(path="file:///lake"), archive=Archive(path="file:///archive")),
        parallelism,
        key_group,
    )
    for step in found.values():
        tasks = Counter(key_group(key) * parallelism // GROUPS for key in step.keys)
        assert len(tasks) == parallelism
        assert max(tasks.values()) - min(tasks.values()) <= 1
        assert len(set(step.keys)) == len(step.keys)
        assert {step_of(key) for key in step.keys} == {step.step}


def test_neighbours_are_on_different_tasks() -> None:
    keys = targets(config(Lake(path="file:///lake")), 4, key_group)["lake"].keys
    tasks = [key_group(key) * 4 // GROUPS for key in keys]
    assert tasks == [0, 1, 2, 3] * 4


def test_only_steps_with_a_path_have_keys() -> None:
    found = targets(
        config(
            archive=Archive(kafka_topic="archive"),
            dead_letters=DeadLetters(path="file:///dead", file_seconds=5, bucket_bytes=1 << 21),
        ),
        2,
        key_group,
    )
    assert list(found) == ["dead_letters"]
    assert len(found["dead_letters"].keys) == 2
    assert found["dead_letters"][2:] == (5, 1 << 21, "ZSTD")


def test_the_number_of_buckets_and_the_codec_are_the_lake_s_own() -> None:
    lake = Lake(path="file:///lake", buckets=7, compression="SNAPPY")
    found = targets(config(lake), 2, key_group)
    assert len(found["lake"].keys) == 7
    assert found["lake"].compression == "SNAPPY"


def test_the_same_configuration_has_the_same_keys() -> None:
    lake = config(Lake(path="file:///lake"))
    assert targets(lake, 3, key_group) == targets(lake, 3, key_group)


@given(
    st.integers(0, 2**42),
    st.sampled_from([0.5, 1, 60, 86400]),
    st.sampled_from(["a/0", "a/1", "x"]),
)
def test_a_bucket_is_due_after_its_first_row_and_within_file_seconds(
    now: int, seconds: float, key: str
) -> None:
    due = due_ms(target(("a/0", "a/1"), seconds), key, now)
    assert now < due <= now + seconds * 1000
    assert due_ms(target(("a/0", "a/1"), seconds), key, due - 1) in (due, due - 1 + seconds * 1000)


def test_buckets_of_all_steps_take_turns() -> None:
    of_lake = target(tuple(f"lake/{i}" for i in range(4)))
    of_archive = target(("archive/0",), step="archive")
    due = [due_ms(of_lake, key, 0) for key in of_lake.keys]
    assert sorted(value % 60_000 for value in due) == [0, 15_000, 30_000, 45_000]
    assert due_ms(of_archive, "archive/0", 0) == 20_000

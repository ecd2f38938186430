"""Two operator's stories: is anything missing, and partitions rebuilt, while the job goes on."""

from __future__ import annotations

import io
import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from typer.testing import CliRunner

from connectors.opensearch import client as opensearch
from connectors.s3.store import Store, open_store
from dev.demo.generate import Recipe, generate
from dev.servers.stack import Stack
from pipeline.cli import app
from tests.job.harness import Harness
from tests.ops.reconcile.plant import apart

NAME = "rebuilt"
ROOT = f"s3a://{NAME}"
INTO = f"{ROOT}/beside"
RECIPE = Recipe(events=6_000, seed=19)
OVERRIDES: dict[str, dict[str, Any]] = {
    "dead_letters": {"path": f"{ROOT}/dead"},
    "job": {"parallelism": 1},  # two jobs share two slots
}


@dataclass(frozen=True)
class Damage:
    """What was done to the sinks: the positions of rows lost and doubled, of dead letters lost."""

    lost_partition: str
    doubled_partition: str
    lost: set[str]
    doubled: set[str]
    letters: set[str]
    document: str
    letter_file: str
    letter_bytes: bytes


def test_damage_is_named_exactly_and_partitions_are_rebuilt(stack: Stack, tmp_path: Path) -> None:
    made = list(generate(RECIPE))
    with Harness(stack=stack, name=NAME, folder=tmp_path, overrides=OVERRIDES) as harness:
        harness.start()
        before = harness.produce(made[:4_000])
        harness.drain()
        assert _command(harness, "reconcile")["ok"] is True

        store = open_store(ROOT, stack.environment())
        damage = _damage(harness, store)
        _is_named(_command(harness, "reconcile", *QUICK, code=1), damage)
        store.write(f"dead/{damage.letter_file}", damage.letter_bytes)

        rebuild = ("backfill", "rebuild", "--into", INTO, "--index")
        told = _command(harness, *rebuild, "--dry-run")
        assert told["records"] + told["left_out"] == len(before)
        rebuilt = _command(harness, *rebuild)
        assert (rebuilt["records"], rebuilt["problems"]) == (told["records"], [])

        later = harness.produce(made[4_000:])
        harness.drain()
        _swap(harness, damage)
        assert _command(harness, "reconcile")["problems"] == []
        assert _command(harness, "backfill", "confirm", "mend")["deleted"] > 0
        harness.stop(drain=True)
    assert harness.verdict(before + later).problems() == []


QUICK = ("--settle", "1", "--show", "100000")


def _swap(harness: Harness, damage: Damage) -> None:
    partitions = (damage.lost_partition, damage.doubled_partition)
    wanted = [word for partition in partitions for word in ("--partition", partition)]
    swap = ("backfill", "swap", "--rebuilt", INTO, "--name", "mend", *wanted)
    assert _command(harness, *swap, "--dry-run")["swapped"] is False
    swapped = _command(harness, *swap)
    assert swapped["swapped"] is True
    assert swapped["partitions"][damage.doubled_partition]["live_doubled"] == len(damage.doubled)
    assert swapped["partitions"][damage.lost_partition]["added_rows"] == len(damage.lost)


def _is_named(report: dict[str, Any], damage: Damage) -> None:
    """Every position, with the step and the kind, and nothing else."""
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    for row in report["steps"]:
        for finding in row["findings"]:
            names = {each for name in finding["names"] for each in apart(name)}
            found[row["step"], finding["kind"]] |= names
    assert found == {
        ("lake", "missing"): damage.lost,
        ("lake", "doubled"): damage.doubled,
        ("dead_letters", "missing"): damage.letters,
        ("index.trip", "missing"): {f"trip {damage.document}"},
    }


def _damage(harness: Harness, store: Store) -> Damage:
    """Loses all files of a partition, doubles one of another; loses a document and dead letters."""
    by_partition: dict[str, list[str]] = defaultdict(list)
    for stored in harness.store("lake").listing():
        if stored.path.startswith("trip/"):
            by_partition[stored.path.rpartition("/")[0]].append(stored.path)
    lost, doubled, third = sorted(by_partition, key=lambda each: -len(by_partition[each]))[:3]
    gone: set[str] = set()
    for path in by_partition[lost]:
        gone |= _positions(store, f"lake/{path}", "source_")
        store.delete(f"lake/{path}")
    twice = by_partition[doubled][0]
    store.copy(f"lake/{twice}", f"lake/{doubled}/part-copy.parquet")
    letters = harness.store("dead").listing()[0].path
    damage = Damage(
        lost_partition=lost,
        doubled_partition=doubled,
        lost=gone,
        doubled=_positions(store, f"lake/{twice}", "source_"),
        letters=_positions(store, f"dead/{letters}", ""),
        document=_drop_document(harness, store, by_partition[third][0]),
        letter_file=letters,
        letter_bytes=store.read(f"dead/{letters}"),
    )
    store.delete(f"dead/{letters}")
    return damage


def _drop_document(harness: Harness, store: Store, path: str) -> str:
    """Deletes the document of the first event of that file."""
    settings = harness.submitted.config.index
    assert settings
    document = str(_read(store, f"lake/{path}")["trip_id"][0])
    client = opensearch.client(settings)
    index = f"{NAME}-trip"
    version = client.get(index=index, id=document)["_version"]
    # A deletion outlives the document by a minute; with its version, the same may come again.
    as_it_is = {"version": version, "version_type": "external_gte", "refresh": "true"}
    client.delete(index=index, id=document, params=as_it_is)
    return document


def _positions(store: Store, path: str, prefix: str) -> set[str]:
    table = _read(store, path)
    names = [f"{prefix}{name}" for name in ("topic", "partition", "offset")]
    rows = zip(*(table[name].to_pylist() for name in names), strict=True)
    return {f"{topic}/{partition}@{offset}" for topic, partition, offset in rows}


def _read(store: Store, path: str) -> Any:
    return pq.read_table(io.BytesIO(store.read(path)))


def _command(harness: Harness, *words: str, code: int = 0) -> dict[str, Any]:
    """What a command of ours answers in JSON."""
    command = [*words, "--config", str(harness.config_path), "--json"]
    environment = harness.stack.environment()
    result = CliRunner().invoke(app, command, env=environment, catch_exceptions=False)
    assert result.exit_code == code, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found

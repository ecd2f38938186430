"""An operator's story: files of the lake are lost and doubled, and the partitions are rebuilt."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from pipeline.backfill.objects import objects_of
from pipeline.cli import app
from pipeline.demo.generate import Recipe, generate
from pipeline.demo.ledger import Ledger
from pipeline.local.stack import Stack
from tests.job.harness import Harness

RECIPE = Recipe(events=6_000, seed=19)


def test_a_partition_is_rebuilt_from_the_archive_while_the_job_goes_on(
    stack: Stack, tmp_path: Path
) -> None:
    made = list(generate(RECIPE))
    one_slot = {"job": {"parallelism": 1}}
    with Harness(stack=stack, name="rebuilt", folder=tmp_path, overrides=one_slot) as harness:
        harness.start()
        before = harness.produce(made[:4_000])
        harness.drain()
        lost, doubled = _damage(harness)
        _reconcile_names(harness, missing=True, doubled=True)

        into = "s3a://rebuilt/beside"
        told = _command(harness, "backfill", "rebuild", "--into", into, "--index", "--dry-run")
        assert told["records"] + told["left_out"] == len(before)
        rebuilt = _command(harness, "backfill", "rebuild", "--into", into, "--index")
        assert (rebuilt["records"], rebuilt["problems"]) == (told["records"], [])

        later = harness.produce(made[4_000:])
        harness.drain()
        wanted = [word for each in (lost, doubled) for word in ("--partition", each)]
        swap = ("backfill", "swap", "--rebuilt", into, "--name", "mend", *wanted)
        assert _command(harness, *swap, "--dry-run")["swapped"] is False
        _reconcile_names(harness, missing=True, doubled=True)
        swapped = _command(harness, *swap)
        assert swapped["partitions"][doubled]["live_doubled"] > 0
        assert swapped["partitions"][lost]["added_rows"] > 0
        _reconcile_names(harness, missing=False, doubled=False)
        assert _command(harness, "backfill", "confirm", "mend")["deleted"] > 0
        harness.stop()
    verdict = harness.verdict(Ledger.of([before, later]))
    assert verdict.problems() == []


def _reconcile_names(harness: Harness, *, missing: bool, doubled: bool) -> None:
    """Reconciles the running job; all that is amiss must be in the lake, and only that."""
    damaged = missing or doubled
    settle = ("--settle", "1") if damaged else ()
    report = _command(harness, "reconcile", *settle, code=int(damaged))
    lake = next(row for row in report["steps"] if row["step"] == "lake")
    assert (lake["missing"] > 0, lake["doubled"] > 0) == (missing, doubled)
    assert all(problem.startswith("lake: ") for problem in report["problems"])


def _damage(harness: Harness) -> tuple[str, str]:
    """Loses the files of one partition and doubles one of another; the two with most files."""
    by_partition: dict[str, list[str]] = defaultdict(list)
    for stored in harness.store("lake").listing():
        by_partition[stored.path.rpartition("/")[0]].append(stored.path)
    lost, doubled = sorted(by_partition, key=lambda each: -len(by_partition[each]))[:2]
    root = f"s3a://{harness.name}/lake"
    objects = objects_of(root, harness.stack.environment())
    for path in by_partition[lost]:
        objects.delete(f"{root}/{path}")
    objects.copy(f"{root}/{by_partition[doubled][0]}", f"{root}/{doubled}/part-copy.parquet")
    return lost, doubled


def _command(harness: Harness, *words: str, code: int = 0) -> dict[str, Any]:
    """What a command of ours answers in JSON."""
    where = ["--config", str(harness.config_path), "--run-dir", str(harness.stack.run_dir)]
    result = CliRunner().invoke(app, [*words, *where, "--json"])
    assert result.exit_code == code, (result.output, result.exception)
    found: dict[str, Any] = json.loads(result.stdout)
    return found

"""What a replay would send, and how long that would take: reads everything, sends nothing."""

from __future__ import annotations

import numpy as np

from pipeline.ops.replay.history import Counts
from pipeline.ops.replay.report import DryRun
from pipeline.ops.replay.rounds import Rounds
from pipeline.ops.replay.run import Plan


def dry_run(rounds: Rounds, counts: Counts, plan: Plan) -> DryRun:
    """Of a replay for ever, the first round. Raises UserError as reading does."""
    pace = plan.pace()
    events = size = 0
    first: int | None = None
    reached: int | None = None
    for piece in rounds.pieces():
        block = piece.block
        if not len(block):
            continue
        latest = np.maximum.accumulate(block.times)
        times = latest if reached is None else np.maximum(latest, reached)
        pace.due(times)
        first = int(times[0]) if first is None else first
        reached = int(times[-1])
        events += len(block)
        size += sum(len(raw) for raw in block.raws if raw)
    return DryRun(
        events=events,
        bytes=size,
        first_ms=first,
        last_ms=reached,
        seconds=_seconds(plan, pace.last_due, events),
        cut_waits=pace.cut_waits,
        cut_seconds=pace.cut_seconds,
        counts=counts,
    )


def _seconds(plan: Plan, paced: float, events: int) -> float | None:
    if plan.speedup is None and plan.rate is None:
        return None
    return max(paced, events / plan.rate if plan.rate else 0.0)

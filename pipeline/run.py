"""Start a job that doubles nothing: plan it beside the checks, look again, then submit it."""

from __future__ import annotations

import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import client
from pipeline import submit as submission
from pipeline.cluster import cluster_of, home_of
from pipeline.config import load as load_config
from pipeline.terminal import printable

if TYPE_CHECKING:
    from pipeline.start import Choice


@dataclass(slots=True)
class _Watch:
    """Measures how long each step takes, in seconds."""

    started: float = field(default_factory=time.monotonic)
    steps: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Measure one step."""
        began = time.monotonic()
        yield
        self.steps[name] = time.monotonic() - began

    def __str__(self) -> str:
        steps = ", ".join(f"{name} {seconds:.1f}" for name, seconds in self.steps.items())
        return f"took {time.monotonic() - self.started:.1f} s: {steps}"


def run(
    path: Path,
    environment: Mapping[str, str],
    choice: Choice,
    *,
    savepoint: str,
    allow_dropped_state: bool,
) -> submission.Submitted:
    """Submit the job of a configuration file, from `savepoint` or from what `choice` finds.

    Notes for the user, and how long each step took, are printed to standard error.

    Raises:
        UserError: what is to be fixed, or chosen; nothing was submitted.
        TimeoutError: Flink takes too long; whether the job runs is not known.
    """
    watch = _Watch()
    home_of(environment)
    config = load_config.load(path, environment)
    types = load_config.event_types(config)
    cluster = cluster_of(environment)
    with client.planning(path, environment) as planner:
        # Imported here: the clients of outside systems take a while, and the planner longer.
        from pipeline import room, start
        from pipeline.decode.native import described
        from pipeline.decode.type_rule import TypeRule

        with watch.step("checks"):
            decoder = described(types, TypeRule.of(config.source), config.decode.native)
            start.refuse_a_second(config, cluster.jobs())
            store = start.checkpoint_store(config, cluster, environment)
            known = start.known_jobs(store)
            _say(start.checkpoints_off(config, cluster))
            _say(room.refuse_too_little(config, cluster))
            if not savepoint:
                savepoint, note = start.savepoint_for(
                    config, cluster, environment, choice, allow_dropped_state=allow_dropped_state
                )
                _say(note)
            submission.check(
                config, environment, savepoint=savepoint, allow_dropped_state=allow_dropped_state
            )
        with watch.step("plan"):
            planner.wait_planned()
        job_id = uuid.uuid4().hex
        job = (job_id, config.job.name)
        with watch.step("submission"), start.announced(store, job, known, cluster.may_run):
            start.refuse_a_second(config, cluster.jobs())
            planner.submit(job_id, savepoint=savepoint, allow_dropped_state=allow_dropped_state)
    _say(decoder)
    _say(str(watch))
    return submission.submitted(job_id, config, environment)


def _say(note: str) -> None:
    if note:
        print(printable(note), file=sys.stderr)

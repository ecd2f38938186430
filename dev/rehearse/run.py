"""`make rehearse`: the deployment of `docs/deploy.md` played on local servers, then its report.

The template's own values make bucket, streams, property groups and thresholds. What cannot be
shown without AWS is marked so in the report, and is never counted as provoked.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from rich.console import Console

from connectors.errors import UserError
from dev.figures import write
from dev.rehearse import as_platform
from dev.rehearse.faults import GIVEN
from dev.rehearse.given import fires_on_given
from dev.rehearse.report import Proofs, render
from dev.rehearse.stages import Rehearsal
from dev.servers import process
from dev.servers.layout import ALL_SERVERS
from dev.servers.setup import setup
from dev.servers.stack import Stack
from dev.templates.signals import signal
from pipeline.config.load import PROPERTY_GROUPS
from pipeline.deploy.monitoring.alarms import alarm
from pipeline.deploy.package.build import build
from pipeline.progress import Steps

REPORT: Final = Path("build/rehearsal-report.json")
_FOLDER: Final = Path("build/rehearsal")


def rehearse(root: Path, *, keep: bool, console: Console) -> bool:
    """Run all stages; return whether everything held.

    Raises:
        UserError: something is missing at the start, or a server or the job refused.
    """
    started = time.monotonic()
    steps, proofs = Steps(console), Proofs()
    _refuse_no_place()
    setup(root, say=steps.say)
    folder = root / _FOLDER
    _clear(folder, steps)
    checkout = as_platform.bare_checkout(root, folder / "checkout")
    stack = Stack(checkout, run_dir=folder / "servers", free_ports=True, servers=ALL_SERVERS)
    try:
        with _running(stack, steps, keep=keep):
            _play(root, folder, stack, steps, proofs)
            servers = stack.started().values()
        if not keep:
            left = {left for server in servers for left in process.family(server)}
            proofs.add("no process is left", "done", not left, f"{len(left)} of the stack's")
        proofs.finished = True
    finally:
        write(proofs.as_dict(time.monotonic() - started), root / REPORT)
    render(proofs, console)
    steps.say(f"the report is in {REPORT}; it took {time.monotonic() - started:.0f} s")
    return proofs.ok


def judge_given(proofs: Proofs) -> None:
    """Evaluate the alarms that nothing here can make fire, on synthetic samples."""
    for name in GIVEN:
        declared = alarm(name)
        metric = signal(declared.signal)
        observed = f"samples of {metric.namespace} {metric.metric} beside {declared.threshold:g}"
        proofs.add(f"alarm {name}", "on given samples", fires_on_given(declared), observed)


def _play(root: Path, folder: Path, stack: Stack, steps: Steps, proofs: Proofs) -> None:
    with steps.step("building the package"):
        built = build(root, folder / "streaming-etl-1.zip", say=steps.say)
    proofs.add("package", "done", True, f"{built.bytes:,} bytes, sha256 {built.sha256[:16]}")
    rehearsal = Rehearsal.of(root, folder, stack, steps, proofs)
    rehearsal.make_resources()
    rehearsal.start_from_bucket(built.path)
    rehearsal.provoke_all()
    rehearsal.judge_lowered()
    judge_given(proofs)
    rehearsal.stop_and_reconcile("version 1")
    rehearsal.miss_the_job()
    rehearsal.miss_a_file()
    rehearsal.upgrade()
    rehearsal.stop_and_reconcile("version 2")


def _refuse_no_place() -> None:
    """Refuse at once if property groups cannot be written, instead of after minutes."""
    try:
        with as_platform.placed([]):
            pass
    except UserError as error:
        raise UserError(
            f"{error} A rehearsal puts property groups there, as the platform does: run it as root,"
            f" in a container for instance, and remove {PROPERTY_GROUPS} if a run left it."
        ) from error


def _clear(folder: Path, steps: Steps) -> None:
    """Stop what an interrupted rehearsal left running, and delete its files."""
    servers = folder / "servers"
    if servers.exists():
        Stack(folder / "checkout", run_dir=servers).down(steps.say)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


@contextmanager
def _running(stack: Stack, steps: Steps, *, keep: bool) -> Iterator[None]:
    try:
        stack.up(steps.say)
        yield
    finally:
        if keep:
            steps.say(f"left up; stop with: python -m dev down --run-dir {stack.run_dir}")
        else:
            stack.down(steps.say)

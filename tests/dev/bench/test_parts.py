"""CPU time by part, of processes that run here."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil

from connectors.flink.rest import wait_for
from dev.bench.gauge import Gauge
from dev.bench.parts import Parts, kind_of

BURN = "sum(range(4_000_000))"


def test_a_worker_is_known_by_the_name_that_it_gave_itself() -> None:
    program = f"open('/proc/self/comm', 'w').write('etl-decode'); {BURN}; input()"
    with _python(program) as child:
        process = psutil.Process(child.pid)
        parts = Parts()
        wait_for(lambda: _seconds(parts, process, "etl-decode") > 0, 30, "it used no CPU")
        assert kind_of(process) == "etl-decode"
        child.communicate(b"\n", timeout=30)
    spent = parts.seconds()
    parts.sample([process])
    assert parts.seconds() == spent, "a process that has ended keeps what it had"


def test_the_peak_says_who_had_the_memory() -> None:
    with _python("held = b'x' * 50_000_000; input()") as child:
        with Gauge({child.pid}, by_part=True) as gauge:
            wait_for(lambda: gauge.peak_bytes > 50_000_000, 30, "it holds nothing")
        child.communicate(b"\n", timeout=30)
    assert gauge.peak_by_kind == {"python": gauge.peak_bytes}


def _python(program: str) -> subprocess.Popen[bytes]:
    command = [str(Path(sys.executable)), "-c", program]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)


def _seconds(parts: Parts, process: psutil.Process, part: str) -> float:
    parts.sample([process])
    return parts.seconds().get(part, 0.0)

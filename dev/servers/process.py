"""Start a server as a process that outlives us, and stop exactly that one later, perhaps from
another process.

A pid alone does not name a process: pids are reused. The pid file therefore holds the start time
from /proc/<pid>/stat and the machine's boot id beside it, and a token that the server's
environment carries, by which its descendants (Flink's Python workers) are known even when their
parent was killed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from uuid import uuid4

import msgspec

from connectors.errors import UserError
from connectors.local_files import write_whole
from dev.servers.ports import pids

TOKEN = "STREAMING_ETL_PROCESS"
POLL_SECONDS = 0.1

# Our own children must be reaped or they stay behind as zombies; Popen does that when asked for its
# state.
_children: dict[int, subprocess.Popen[bytes]] = {}


class Started(msgspec.Struct, frozen=True, kw_only=True):
    """A process that was started, as its pid file holds it."""

    pid: int
    birth: str
    token: str
    log: str


def start(
    command: Sequence[str], *, environment: Mapping[str, str], log: Path, pid_file: Path
) -> Started:
    """Start a server in a session of its own, its output appended to `log`, and write its pid file.

    The pid file is written before the start too, without the pid: should we die in between, the
    token in it still leads to the process.
    """
    token = uuid4().hex
    write_whole(pid_file, msgspec.json.encode(Started(pid=0, birth="", token=token, log=str(log))))
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        child = subprocess.Popen(
            command,
            env={**os.environ, **environment, TOKEN: token},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    _children[child.pid] = child
    started = Started(pid=child.pid, birth=birth(child.pid) or "", token=token, log=str(log))
    write_whole(pid_file, msgspec.json.encode(started))
    return started


def read(pid_file: Path) -> Started | None:
    """What a pid file says; None when there is none."""
    try:
        return msgspec.json.decode(pid_file.read_bytes(), type=Started)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as error:
        raise UserError(f"{pid_file} is not a pid file of ours ({error}): delete it") from None


def is_alive(started: Started) -> bool:
    """Whether that very process still runs (a reused pid and a zombie do not count)."""
    child = _children.get(started.pid)
    if child is not None and child.poll() is not None:
        del _children[started.pid]
    return started.birth != "" and birth(started.pid) == started.birth


def birth(pid: int) -> str | None:
    """What tells a process from another with the same pid: boot id and start time in clock ticks.

    None when there is no such process or only its zombie is left.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("utf-8", errors="replace")
    except OSError:
        return None
    state, *rest = stat.rpartition(")")[2].split()
    threads = int(rest[16])
    # A JVM's first thread can be gone while others still hold its ports.
    if state in "ZX" and threads <= 1:
        return None
    boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    return f"{boot}/{rest[18]}"


def family(started: Started) -> set[int]:
    """The process and its living descendants, known by the token in their environment."""
    wanted = f"{TOKEN}={started.token}".encode()
    return {pid for pid in pids() if wanted in environment_of(pid)}


def environment_of(pid: int) -> list[bytes]:
    """A process's environment; empty when it is gone or not ours to look at."""
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []


def terminate(started: Started) -> None:
    """Ask the process to end, without waiting."""
    if is_alive(started):
        send(started.pid, signal.SIGTERM)


def stop(started: Started, *, patience: float) -> None:
    """End the process and its descendants: SIGTERM, at most `patience` seconds of waiting, then
    SIGKILL."""
    if is_alive(started):
        send(started.pid, signal.SIGTERM)
        wait_until_gone(started, patience)
    for pid in family(started):
        send(pid, signal.SIGKILL)
    deadline = time.monotonic() + patience
    while family(started) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    reap(started, patience)


def reap(started: Started, seconds: float) -> None:
    """Take note of the end of a child of this very process, so that it leaves no zombie."""
    child = _children.pop(started.pid, None)
    if child is not None:
        child.wait(seconds)


def kill(started: Started) -> None:
    """SIGKILL to the process alone, as a crash would: its descendants are left to notice."""
    if is_alive(started):
        send(started.pid, signal.SIGKILL)
        wait_until_gone(started, 10.0)


def wait_until_gone(started: Started, seconds: float) -> None:
    """Wait for the process to end, at most that long."""
    deadline = time.monotonic() + seconds
    while is_alive(started) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)


def send(pid: int, number: signal.Signals) -> None:
    """Send a signal; a process that has just ended by itself is what we wanted."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def log_tail(log: Path, lines: int = 20) -> str:
    """The last lines of a log, for an error message."""
    try:
        text = log.read_bytes()[-16_384:].decode("utf-8", "replace")
    except FileNotFoundError:
        return "(no log)"
    return "\n".join(text.splitlines()[-lines:]) or "(the log is empty)"

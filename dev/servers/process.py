"""Start a server as a process that outlives us, and stop exactly that one later, perhaps from
another process.

A pid alone does not identify a process: pids are reused. The pid file therefore holds the time the
process was created too, and a token in the environment of the server, by which its descendants
(Flink's Python workers) are known even if their parent was killed.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import msgspec
import psutil

from connectors.errors import UserError
from connectors.local_files import write_whole

TOKEN = "STREAMING_ETL_PROCESS"
POLL_SECONDS = 0.1

# What a server is given of the environment that starts it. Servers print theirs, into logs and web
# pages, so it has no variable that could hold a secret.
INHERITED = (
    *("HOME", "HOSTNAME", "LANG", "LC_ALL", "LOGNAME", "PATH", "TMPDIR", "TZ", "USER"),
    *("JAVA_HOME", "LD_LIBRARY_PATH", "PYTHONPATH", TOKEN),
)

# Our own children must be reaped or they stay behind as zombies; Popen does that when asked for its
# state.
_children: dict[int, subprocess.Popen[bytes]] = {}


class Started(msgspec.Struct, frozen=True, kw_only=True):
    """A process that was started, as its pid file holds it; `created` is in epoch seconds."""

    pid: int
    created: float
    token: str
    log: str


def start(
    command: Sequence[str], *, environment: Mapping[str, str], log: Path, pid_file: Path
) -> Started:
    """Start a server in a session of its own, its output appended to `log`, and write its pid file.

    It gets the variables of `environment`, and of ours only those that are `INHERITED`.

    The pid file is written before the start too, without the pid: should we die in between, the
    token in it still leads to the process.
    """
    token = uuid4().hex
    write_whole(pid_file, msgspec.json.encode(Started(pid=0, created=0, token=token, log=str(log))))
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        child = subprocess.Popen(
            command,
            env={**inherited(os.environ), **environment, TOKEN: token},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    _children[child.pid] = child
    created = psutil.Process(child.pid).create_time()
    started = Started(pid=child.pid, created=created, token=token, log=str(log))
    write_whole(pid_file, msgspec.json.encode(started))
    return started


def inherited(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that a server is given of an environment."""
    return {name: environment[name] for name in INHERITED if name in environment}


def read(pid_file: Path) -> Started | None:
    """What a pid file says; None when there is none."""
    try:
        return msgspec.json.decode(pid_file.read_bytes(), type=Started)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as error:
        raise UserError(f"{pid_file} is not a pid file of ours ({error}): delete it") from None


def is_alive(started: Started) -> bool:
    """Return whether that very process still runs; a reused pid and a zombie do not count."""
    return living(started) is not None


def living(started: Started) -> psutil.Process | None:
    """Return the process, which refuses signals once its pid is reused; None if it has ended."""
    child = _children.get(started.pid)
    if child is not None and child.poll() is not None:
        del _children[started.pid]
    try:
        process = psutil.Process(started.pid) if started.pid else None
        return process if process and _is_it(process, started) else None
    except psutil.NoSuchProcess:
        return None


def _is_it(process: psutil.Process, started: Started) -> bool:
    # A JVM's first thread can be a zombie while others still hold its ports.
    if process.status() == psutil.STATUS_ZOMBIE and process.num_threads() <= 1:
        return False
    # The time moves when the machine's clock is set, the token does not.
    return process.create_time() == started.created or _has_token(process, started)


def _has_token(process: psutil.Process, started: Started) -> bool:
    try:
        return process.environ().get(TOKEN) == started.token
    except (psutil.AccessDenied, psutil.ZombieProcess):
        return False


def family(started: Started) -> set[psutil.Process]:
    """Return the process and its living descendants, known by the token in their environment."""
    return {
        candidate
        for candidate in psutil.process_iter(["environ"])
        if (candidate.info["environ"] or {}).get(TOKEN) == started.token
    }


def terminate(started: Started) -> None:
    """Send SIGTERM, without waiting."""
    process = living(started)
    if process:
        with suppress(psutil.NoSuchProcess):
            process.terminate()


def stop(started: Started, *, patience: float) -> None:
    """End the process and its descendants: SIGTERM, at most `patience` seconds, then SIGKILL."""
    terminate(started)
    wait_until_gone(started, patience)
    for process in family(started):
        with suppress(psutil.NoSuchProcess):
            process.kill()
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
    """Send SIGKILL to the process alone, as a crash would: its descendants are left to notice."""
    process = living(started)
    if process:
        with suppress(psutil.NoSuchProcess):
            process.kill()
        wait_until_gone(started, 10.0)


def wait_until_gone(started: Started, seconds: float) -> None:
    """Wait for the process to end, at most that long."""
    deadline = time.monotonic() + seconds
    while is_alive(started) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)


def log_tail(log: Path, lines: int = 20) -> str:
    """The last lines of a log, for an error message."""
    try:
        text = log.read_bytes()[-16_384:].decode("utf-8", "replace")
    except FileNotFoundError:
        return "(no log)"
    return "\n".join(text.splitlines()[-lines:]) or "(the log is empty)"

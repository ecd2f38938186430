"""Processes are stopped by pid and start time: the right one, all of it, and never another."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from connectors.errors import UserError
from dev.servers import process


def start(folder: Path, *command: str) -> process.Started:
    return process.start(
        command, environment={}, log=folder / "log", pid_file=folder / "pids" / "it.json"
    )


def wait_for(condition: Callable[[], bool]) -> None:
    """Come back when the condition holds; fail after ten seconds."""
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def test_started_process_is_alive_and_stop_ends_it(tmp_path: Path) -> None:
    started = start(tmp_path, "sleep", "60")
    assert process.is_alive(started)

    process.stop(started, patience=5)

    assert not process.is_alive(started)
    process.stop(started, patience=5)


def test_server_gets_named_variables_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgres://etl:of-the-shell@db")
    command = ["sh", "-c", "env; echo done"]
    started = process.start(
        command, environment={"OWN": "1"}, log=tmp_path / "log", pid_file=tmp_path / "pid"
    )
    wait_for(lambda: "done" in (tmp_path / "log").read_text("utf-8"))
    process.stop(started, patience=5)

    lines = (tmp_path / "log").read_text("utf-8").splitlines()
    names = {line.partition("=")[0] for line in lines} - {"done", "PWD", "SHLVL", "_", "OLDPWD"}
    assert {"PATH", "OWN", process.TOKEN} <= names <= {*process.INHERITED, "OWN"}


def test_pid_file_leads_back_to_the_process(tmp_path: Path) -> None:
    started = start(tmp_path, "sleep", "60")

    assert process.read(tmp_path / "pids" / "it.json") == started
    process.stop(started, patience=5)


def test_reused_pid_is_not_the_process_and_is_left_alone(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "60"]) as stranger:
        impostor = process.Started(
            pid=stranger.pid, created=1.0, token="0" * 32, log=str(tmp_path / "log")
        )

        assert not process.is_alive(impostor)
        process.terminate(impostor)
        process.stop(impostor, patience=1)

        assert stranger.poll() is None
        stranger.kill()


def test_process_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    started = start(tmp_path, "sh", "-c", "trap '' TERM; echo deaf; while :; do sleep 0.1; done")
    wait_for(lambda: "deaf" in (tmp_path / "log").read_text("utf-8"))

    process.stop(started, patience=0.5)

    assert not process.family(started)


def test_descendants_are_stopped_even_when_their_parent_was_killed(tmp_path: Path) -> None:
    started = start(tmp_path, "sh", "-c", "setsid sleep 60 & wait")
    wait_for(lambda: len(process.family(started)) == 2)
    process.kill(started)
    assert not process.is_alive(started)
    assert process.family(started)

    process.stop(started, patience=5)

    assert not process.family(started)


def test_zombie_counts_as_ended(tmp_path: Path) -> None:
    started = start(tmp_path, "true")

    wait_for(lambda: not process.is_alive(started))


def test_process_is_found_by_its_token_when_its_pid_was_never_written(tmp_path: Path) -> None:
    started = start(tmp_path, "sleep", "60")
    half_written = msgspec.structs.replace(started, pid=0, created=0)
    assert not process.is_alive(half_written)

    process.stop(half_written, patience=5)

    wait_for(lambda: not process.is_alive(started))


def test_unreadable_pid_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "it.json").write_text("{", "utf-8")

    with pytest.raises(UserError, match=r"it\.json is not a pid file"):
        process.read(tmp_path / "it.json")


def test_process_is_known_by_its_token_after_the_clock_was_set(tmp_path: Path) -> None:
    started = start(tmp_path, "sleep", "60")
    earlier = msgspec.structs.replace(started, created=started.created - 3600)
    # Within exec there is a moment when a process has no environment yet.
    wait_for(lambda: process.is_alive(earlier))
    assert not process.is_alive(msgspec.structs.replace(started, created=1.0, token="0" * 32))

    process.stop(started, patience=5)


def test_missing_process_is_not_alive(tmp_path: Path) -> None:
    missing = process.Started(pid=2**22 + 1, created=1.0, token="0" * 32, log="")
    assert not process.is_alive(missing)


def test_log_tail_gives_the_last_lines(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert process.log_tail(log) == "(no log)"
    log.write_text("\n".join(str(n) for n in range(100)), "utf-8")

    assert process.log_tail(log, 2) == "98\n99"

"""A start that fails, or was cut short, leaves a state that `down` and the next `up` can live
with."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest

from connectors.errors import UserError
from dev.servers import ports, process
from dev.servers.server import Server
from dev.servers.stack import Stack


@pytest.fixture
def unstarted(tmp_path: Path) -> Stack:
    """A stack of nothing, in a folder that looks as if set-up had been there."""
    (tmp_path / ".cache" / "stamps").mkdir(parents=True)
    return Stack(tmp_path, run_dir=tmp_path / "run")


def server(name: str, script: str, *, port: int = 1, patience: float = 10) -> Server:
    """A server that is a line of Python."""
    return Server(
        name=name,
        command=(sys.executable, "-c", script),
        port=port,
        url="nowhere",
        is_ready=lambda: True,
        prepare=lambda: None,
        patience=patience,
    )


def silent(_: str) -> None:
    """Progress that nobody reads."""


SLEEP = "import time; time.sleep(60)"


def test_server_that_dies_early_shows_its_log_and_takes_the_others_down(unstarted: Stack) -> None:
    steady = server("steady", SLEEP)
    failing = server("failing", "raise SystemExit('the disk is on fire')")

    with pytest.raises(UserError) as caught:
        unstarted.start([steady, failing], silent)

    assert "failing ended while starting" in str(caught.value)
    assert "the disk is on fire" in str(caught.value)
    assert unstarted.started() == {}


def test_server_that_stays_silent_has_its_time_and_no_more(unstarted: Stack) -> None:
    with pytest.raises(UserError, match="silent did not get ready in time"):
        unstarted.start([server("silent", SLEEP, patience=0.5)], silent)

    assert unstarted.started() == {}


def test_server_on_whose_port_another_one_answers_is_not_ready(unstarted: Stack) -> None:
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        port = stranger.getsockname()[1]

        with pytest.raises(UserError, match="late did not get ready in time"):
            unstarted.start([server("late", SLEEP, port=port, patience=0.5)], silent)


def test_server_that_listens_and_answers_is_ready(unstarted: Stack) -> None:
    (port,) = ports.unused(1)
    listen = f"import socket, time; s = socket.create_server(('127.0.0.1', {port})); time.sleep(60)"
    said: list[str] = []

    unstarted.start([server("good", listen, port=port)], said.append)

    assert said[-1].startswith("good is ready at nowhere")
    unstarted.down(silent)


def test_down_stops_what_a_cut_short_start_left(unstarted: Stack) -> None:
    unstarted.start_process(server("left", SLEEP))
    (left,) = unstarted.started().values()

    unstarted.down(silent)

    assert not process.is_alive(left)
    unstarted.down(silent)


def test_down_forgets_a_server_that_has_died_meanwhile(unstarted: Stack) -> None:
    unstarted.start_process(server("dead", SLEEP))
    (dead,) = unstarted.started().values()
    process.kill(dead)

    unstarted.down(silent)

    assert unstarted.started() == {}


def test_start_without_set_up_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="make setup"):
        Stack(tmp_path).start([], silent)


def test_unknown_server_is_named_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Unknown server mongo; there are kafka, s3"):
        Stack(tmp_path, servers=("kafka", "mongo")).up(silent)

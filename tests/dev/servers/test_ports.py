"""Which ports are chosen, and what a user is told when one is taken."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from ipaddress import ip_address

import psutil
import pytest

from connectors.errors import UserError
from dev.servers import ports


@pytest.fixture
def taken() -> Iterator[int]:
    """A port on which this very process listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield int(server.getsockname()[1])


def test_preferred_ports_are_taken_when_free() -> None:
    one, two = ports.unused(2)

    assert ports.choose({"kafka": one, "s3": two}, free=False) == {"kafka": one, "s3": two}


def test_taken_port_is_an_error_that_names_port_and_holder(taken: int) -> None:
    with pytest.raises(UserError) as caught:
        ports.choose({"kafka": taken}, free=False)

    message = str(caught.value)
    assert f"port {taken} (kafka)" in message
    assert f"process {os.getpid()}: " in message
    assert "--free-ports" in message


def test_taken_port_is_replaced_when_other_ports_are_allowed(taken: int) -> None:
    (free,) = ports.unused(1)

    chosen = ports.choose({"kafka": taken, "s3": free}, free=True)

    assert chosen["s3"] == free
    assert chosen["kafka"] not in {taken, free}
    assert ports.is_free(chosen["kafka"])


def test_replacement_stays_within_the_range_that_a_server_can_use(taken: int) -> None:
    (free,) = ports.unused(1)
    within = {"opensearch": range(free, free + 1)}

    assert ports.choose({"opensearch": taken}, free=True, within=within) == {"opensearch": free}
    with pytest.raises(UserError, match=f"from {taken} to {taken} is taken"):
        ports.first_free(range(taken, taken + 1), frozenset())


def test_port_held_on_every_address_is_not_free() -> None:
    with socket.create_server(("", 0)) as server:
        assert not ports.is_free(server.getsockname()[1])


@pytest.mark.parametrize(
    ("address", "only_this_machine"),
    [("127.0.0.1", True), ("::1", True), ("::ffff:127.0.0.1", True), ("", False), ("::", False)],
)
def test_listeners_show_address_and_owner(address: str, only_this_machine: bool) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    dual = family == socket.AF_INET6
    with socket.create_server((address, 0), family=family, dualstack_ipv6=dual) as server:
        port = server.getsockname()[1]
        (found,) = [listener for listener in listeners() if listener.port == port]
        assert found.address == ip_address(address or "0.0.0.0")
        assert found.is_loopback is only_this_machine
        stranger = subprocess.Popen(["sleep", "60"])
        assert ports.listeners_of([psutil.Process(stranger.pid)]) == []
        stranger.kill()
        stranger.wait()


def test_process_that_has_ended_listens_nowhere() -> None:
    ended = psutil.Popen(["true"])
    ended.wait()
    assert ports.listeners_of([ended]) == []
    assert ports.command_line(ended.pid) == []


def listeners() -> list[ports.Listener]:
    return ports.listeners_of([psutil.Process()])

"""Which ports are chosen, and what a user is told when one is taken."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from ipaddress import ip_address

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


def test_listeners_show_address_and_owner(taken: int) -> None:
    found = [each for each in ports.listeners_of({os.getpid()}) if each.port == taken]

    assert [each.address for each in found] == [ip_address("127.0.0.1")]
    assert found[0].is_loopback


@pytest.mark.parametrize(
    ("row", "address", "port", "loopback"),
    [
        ("0: 0100007F:1F90 00000000:0000 0A 0 0 0 0 0 77", "127.0.0.1", 8080, True),
        ("0: 00000000:1F90 00000000:0000 0A 0 0 0 0 0 77", "0.0.0.0", 8080, False),
        ("0: " + "0" * 32 + ":0050 0:0 0A 0 0 0 0 0 77", "::", 80, False),
        (
            "0: 0000000000000000FFFF00000100007F:0050 0:0 0A 0 0 0 0 0 77",
            "::ffff:127.0.0.1",
            80,
            True,
        ),
        ("0: 00000000000000000000000001000000:0050 0:0 0A 0 0 0 0 0 77", "::1", 80, True),
    ],
)
def test_rows_of_the_kernel_s_table(row: str, address: str, port: int, loopback: bool) -> None:
    parsed = ports.parse_row(row)

    assert (parsed.address, parsed.port, parsed.inode) == (ip_address(address), port, 77)
    assert parsed.is_loopback is loopback

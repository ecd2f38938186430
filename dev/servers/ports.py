"""Local ports: which are taken, by whom, and which to use."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, Final

import psutil

from connectors.errors import UserError

_COMMAND_LENGTH: Final = 120


@dataclass(frozen=True, slots=True)
class Listener:
    """A listening TCP socket of this machine."""

    address: IPv4Address | IPv6Address
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it. (::ffff:127.0.0.1 is how Java shows
        127.0.0.1.)"""
        mapped = getattr(self.address, "ipv4_mapped", None)
        return (mapped or self.address).is_loopback


@dataclass(frozen=True, slots=True)
class Holder:
    """The process that listens on a port."""

    pid: int
    command: str


def choose(
    preferred: Mapping[str, int], *, free: bool, within: Mapping[str, range] | None = None
) -> dict[str, int]:
    """Return a port for each name: the preferred one where it is free.

    Else, with `free`, another free port (for names in `within` one of that range), and without it a
    UserError that names every taken port and its holder. The ports of one call are distinct.
    """
    taken = {name: port for name, port in preferred.items() if not is_free(port)}
    if taken and not free:
        raise UserError(taken_message(taken))
    chosen = dict(preferred)
    for name in taken:
        bounds = (within or {}).get(name)
        avoid = frozenset(chosen.values())
        chosen[name] = first_free(bounds, avoid) if bounds else unused(1, avoid=avoid)[0]
    return chosen


def first_free(bounds: range, avoid: frozenset[int]) -> int:
    """Return the first free port of a range; UserError if all are taken."""
    for port in bounds:
        if port not in avoid and is_free(port):
            return port
    raise UserError(f"Every port from {bounds[0]} to {bounds[-1]} is taken: end what holds one")


def is_free(port: int) -> bool:
    """Return whether a server could listen on 127.0.0.1:port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as attempt:
        attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            attempt.bind(("127.0.0.1", port))
            attempt.listen(1)
        except OSError:
            return False
    return True


def unused(count: int, *, avoid: frozenset[int] = frozenset()) -> list[int]:
    """Return distinct free ports offered by the kernel, all held until all are known."""
    ports: list[int] = []
    with ExitStack() as sockets:
        while len(ports) < count:
            offered = sockets.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
            offered.bind(("127.0.0.1", 0))
            port = int(offered.getsockname()[1])
            if port not in avoid:
                ports.append(port)
    return ports


def taken_message(taken: Mapping[str, int]) -> str:
    """Name the taken ports, their holders, and what can be done."""
    lines = []
    for name, port in taken.items():
        holder = holder_of(port)
        who = f"process {holder.pid}: {holder.command}" if holder else "a process of another user"
        lines.append(f"  - port {port} ({name}) is held by {who}")
    advice = "End that process, or let other ports be chosen with --free-ports."
    return "\n".join(["Ports that the local servers need are taken:", *lines, advice])


def holder_of(port: int) -> Holder | None:
    """Return who listens on a port; None if nobody does, or a process of another user."""
    for connection in psutil.net_connections("tcp"):
        if (
            connection.status == psutil.CONN_LISTEN
            and connection.laddr[1:] == (port,)
            and connection.pid
        ):
            return Holder(connection.pid, " ".join(command_line(connection.pid))[:_COMMAND_LENGTH])
    return None


def listeners_of(processes: Iterable[psutil.Process]) -> list[Listener]:
    """Return the listening sockets that the given processes hold."""
    return [
        Listener(ip_address(connection.laddr.ip), connection.laddr.port)
        for process in processes
        for connection in _connections(process)
        if connection.status == psutil.CONN_LISTEN
    ]


def _connections(process: psutil.Process) -> list[Any]:
    try:
        return list(process.net_connections("tcp"))
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return []


def command_line(pid: int) -> list[str]:
    """Return what a process was started as; empty if it has ended."""
    try:
        return psutil.Process(pid).cmdline()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return []

"""Which local ports are taken, by whom, and which ones to use; read from /proc, so Linux only."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

from connectors.errors import UserError

LISTENING = "0A"


@dataclass(frozen=True, slots=True)
class Listener:
    """A listening TCP socket of this machine; `inode` is how /proc/<pid>/fd refers to it."""

    address: IPv4Address | IPv6Address
    port: int
    inode: int

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
    """A port for each name: the preferred one where it is free.

    Where it is not: with `free` another free port (for names in `within` one of that range),
    without it a UserError that names every taken port and who holds it. The ports of one call
    differ from each other.
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
    """The first free port of a range; UserError when all are taken."""
    for port in bounds:
        if port not in avoid and is_free(port):
            return port
    raise UserError(f"Every port from {bounds[0]} to {bounds[-1]} is taken: end what holds one")


def is_free(port: int) -> bool:
    """Whether a server could listen on 127.0.0.1:port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as attempt:
        attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            attempt.bind(("127.0.0.1", port))
            attempt.listen(1)
        except OSError:
            return False
    return True


def unused(count: int, *, avoid: frozenset[int] = frozenset()) -> list[int]:
    """Different free ports that the kernel offers; all are held until all are known."""
    found: list[int] = []
    with ExitStack() as held:
        while len(found) < count:
            offered = held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
            offered.bind(("127.0.0.1", 0))
            port = int(offered.getsockname()[1])
            if port not in avoid:
                found.append(port)
    return found


def taken_message(taken: Mapping[str, int]) -> str:
    """Which ports are taken, by whom, and what can be done."""
    lines = []
    for name, port in taken.items():
        holder = holder_of(port)
        who = f"process {holder.pid}: {holder.command}" if holder else "a process of another user"
        lines.append(f"  - port {port} ({name}) is held by {who}")
    advice = "End that process, or let other ports be chosen with --free-ports."
    return "\n".join(["Ports that the local servers need are taken:", *lines, advice])


def holder_of(port: int) -> Holder | None:
    """Who listens on a port; None when nobody does or /proc does not let us see who."""
    inodes = {listener.inode for listener in listeners() if listener.port == port}
    for pid in pids():
        if inodes & socket_inodes(pid):
            return Holder(pid, command_line(pid))
    return None


def listeners() -> list[Listener]:
    """Every listening TCP socket of this machine."""
    found = []
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        if table.exists():
            rows = table.read_text("ascii").splitlines()[1:]
            found += [parse_row(row) for row in rows if row.split()[3] == LISTENING]
    return found


def listeners_of(process_ids: set[int]) -> list[Listener]:
    """The listening sockets that the given processes hold."""
    inodes = {inode for pid in process_ids for inode in socket_inodes(pid)}
    return [listener for listener in listeners() if listener.inode in inodes]


def parse_row(row: str) -> Listener:
    """One row of /proc/net/tcp{,6}; addresses are hexadecimal, in host byte order per 4-byte
    word."""
    fields = row.split()
    address, port = fields[1].split(":")
    words = [int(address[at : at + 8], 16) for at in range(0, len(address), 8)]
    packed = struct.pack(f"={len(words)}I", *words)
    return Listener(ip_address(packed), int(port, 16), int(fields[9]))


def pids() -> Iterator[int]:
    """Every process of this machine."""
    return (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())


def socket_inodes(pid: int) -> set[int]:
    """The sockets that a process holds; none when it is gone or not ours to look at."""
    found = set()
    try:
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            target = str(entry.readlink())
            if target.startswith("socket:["):
                found.add(int(target[8:-1]))
    except OSError:
        return found
    return found


def command_line(pid: int, limit: int = 120) -> str:
    """What a process was started as, cut to a readable length."""
    try:
        raw = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return "(ended)"
    return raw.replace(b"\0", b" ").decode("utf-8", "replace").strip()[:limit]

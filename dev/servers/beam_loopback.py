"""Make the channel between Flink and its Python workers listen on 127.0.0.1 instead of every
address.

Apache Beam, which PyFlink runs its Python workers through, makes a loopback address for each of
its gRPC servers and then uses the port of it only (`ServerFactory`:
`NettyServerBuilder.forPort(socket.getPort())`). That opens half a dozen ports per worker, without
authentication, to the whole network, and no option prevents it.

In our copy of PyFlink's jar this one call becomes `NettyServerBuilder.forAddress(socket)`: the
three bytes of `getPort` turn into no-operations, so that the address stays on the stack, and the
call refers to a constant that is appended to the class's pool. Layout of a class file: Java
Virtual Machine Specification, chapter 4.
"""

from __future__ import annotations

import re
import struct
import zipfile
from dataclasses import dataclass
from pathlib import Path

from connectors.errors import UserError

CLASS = "org/apache/beam/sdk/fn/server/ServerFactory$InetSocketAddressServerFactory.class"
BEFORE = "forPort"
AFTER = "forAddress"
PARAMETER = "(Ljava/net/SocketAddress;)"

UTF8, METHOD, NAME_AND_TYPE = 1, 10, 12
LONGS = (5, 6)
SIZES = {3: 4, 4: 4, 5: 8, 6: 8, 7: 2, 8: 2, 9: 4, 10: 4, 11: 4, 12: 4, 15: 3, 16: 2, 17: 4, 18: 4}
NO_OPERATION = b"\x00"
INVOKE_VIRTUAL = b"\xb6"
INVOKE_STATIC = b"\xb8"
POOL_START = 10


@dataclass(frozen=True, slots=True)
class Pool:
    """A class file's constants by their number, and where the pool ends."""

    constants: dict[int, tuple[int, bytes]]
    end: int

    @property
    def count(self) -> int:
        """The number that the next constant gets."""
        return max(self.constants) + 1

    def text(self, number: int) -> str:
        """A constant that is text."""
        return self.constants[number][1].decode("utf-8")

    def method(self, name: str) -> tuple[int, int, str]:
        """The number, class and signature of the one method of that name which the class calls."""
        calls = []
        for number, (tag, content) in self.constants.items():
            if tag == METHOD:
                owner, name_and_type = struct.unpack(">HH", content)
                named, signature = struct.unpack(">HH", self.constants[name_and_type][1])
                if self.text(named) == name:
                    calls.append((number, owner, self.text(signature)))
        if len(calls) != 1:
            raise UserError(f"{CLASS} calls {name} {len(calls)} times, not once: {REMEDY}")
        return calls[0]


REMEDY = "this PyFlink differs from the one that dev/servers/beam_loopback.py was written for"


def patch_jar(jar: Path) -> None:
    """Replace the one class in a copy of PyFlink's jar; UserError when it is not as expected."""
    unfinished = jar.with_suffix(".unfinished")
    with zipfile.ZipFile(jar) as old, zipfile.ZipFile(unfinished, "w") as new:
        if CLASS not in old.namelist():
            raise UserError(f"{jar.name} has no {CLASS}: {REMEDY}")
        for entry in old.infolist():
            content = old.read(entry)
            new.writestr(entry, patch_class(content) if entry.filename == CLASS else content)
    unfinished.replace(jar)


def patch_class(content: bytes) -> bytes:
    """The class with its servers bound to the address it was given, not to the port alone."""
    pool = read_pool(content)
    call, owner, signature = pool.method(BEFORE)
    old_code = re.compile(
        INVOKE_VIRTUAL + b".." + re.escape(INVOKE_STATIC + number(call)), re.DOTALL
    )
    if len(old_code.findall(content)) != 1:
        raise UserError(f"{CLASS} is not as expected: {REMEDY}")
    wanted = number(pool.count + 3)
    new_code = NO_OPERATION * 3 + INVOKE_STATIC + wanted
    added = new_constants(pool.count, owner, PARAMETER + signature.partition(")")[2])
    head = content[:8] + number(pool.count + 4) + content[POOL_START : pool.end]
    return head + added + old_code.sub(lambda _: new_code, content[pool.end :])


def new_constants(first: int, owner: int, signature: str) -> bytes:
    """Name, signature, the pair of both, and the method that joins the pair to its class."""
    texts = b"".join(
        struct.pack(">BH", UTF8, len(text)) + text.encode() for text in (AFTER, signature)
    )
    pair = struct.pack(">BHH", NAME_AND_TYPE, first, first + 1)
    return texts + pair + struct.pack(">BHH", METHOD, owner, first + 2)


def read_pool(content: bytes) -> Pool:
    """Read a class file's constants; longs and doubles take two numbers."""
    (count,) = struct.unpack_from(">H", content, 8)
    constants: dict[int, tuple[int, bytes]] = {}
    at, constant = POOL_START, 1
    while constant < count:
        tag = content[at]
        start = at + 3 if tag == UTF8 else at + 1
        size = struct.unpack_from(">H", content, at + 1)[0] if tag == UTF8 else SIZES[tag]
        constants[constant] = (tag, content[start : start + size])
        at = start + size
        constant += 2 if tag in LONGS else 1
    return Pool(constants, at)


def number(value: int) -> bytes:
    """A constant's number as the class file holds it."""
    return struct.pack(">H", value)

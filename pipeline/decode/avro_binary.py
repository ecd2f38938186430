"""Read Avro's binary form strictly: only bytes that a writer of the schema can have written.

fastavro's reader is what tests compare with. It is not used here: damaged bytes can end or block
its process, it accepts some that no writer makes, and it rounds decimals.

https://avro.apache.org/docs/1.12.0/specification/#binary-encoding
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, Final, NoReturn

from pipeline.decode.json_text import MAX_DEPTH

FREE_ITEMS: Final = 1_000
"""Items of arrays and maps may take no bytes, such as nulls: so many of them in a record."""

_PER_BYTE: Final = 8
"""Records, with their fields, may take no bytes either, and a small schema can have very many in
each other: so many of both for each byte."""

_FLOAT: Final = struct.Struct("<f")
_DOUBLE: Final = struct.Struct("<d")


class Malformed(Exception):
    """The bytes are no record of the schema: the reason code, what is seen and what is allowed."""

    def __init__(self, detail: str, reason: str = "avro_undecodable") -> None:
        super().__init__(reason, detail)
        self.detail = detail
        self.reason = reason


class Source:
    """The bytes of a record, read from `at` on; each method raises `Malformed`."""

    __slots__ = ("_depth", "_free", "_members", "at", "raw")

    def __init__(self, raw: bytes, at: int) -> None:
        self.raw = raw
        self.at = at
        self._depth = 0
        self._free = FREE_ITEMS
        self._members = FREE_ITEMS + _PER_BYTE * len(raw)

    def end(self) -> None:
        """Require that all bytes were read."""
        if self.at < len(self.raw):
            more = len(self.raw) - self.at
            self._refuse(self.at, f"{more} more bytes", "the end of the record")

    def int64(self) -> int:
        """Read a long: at most ten bytes, seven bits each, in the zigzag code."""
        raw, at = self.raw, self.at
        byte = _byte(raw, at)
        number, shift = byte & 0x7F, 7
        while byte & 0x80:
            byte = _byte(raw, at := at + 1)
            number |= (byte & 0x7F) << shift
            shift += 7
            if shift > 63 and (number >> 64 or byte & 0x80):
                self._refuse(self.at, "an integer of more bits", "64 bits")
        self.at = at + 1
        return (number >> 1) ^ -(number & 1)

    def int32(self) -> int:
        """Read an int."""
        start, number = self.at, self.int64()
        if not -0x80000000 <= number <= 0x7FFFFFFF:
            self._refuse(start, f"the int {number}", "32 bits")
        return number

    def boolean(self) -> bool:
        """Read a boolean."""
        byte = _byte(self.raw, self.at)
        if byte > 1:
            self._refuse(self.at, f"the boolean {byte}", "0 or 1")
        self.at += 1
        return byte == 1

    def float32(self) -> float:
        """Read a float."""
        number: float = _FLOAT.unpack(self.fixed(4))[0]
        return number

    def float64(self) -> float:
        """Read a double."""
        number: float = _DOUBLE.unpack(self.fixed(8))[0]
        return number

    def fixed(self, size: int) -> bytes:
        """Read so many bytes."""
        at, end = self.at, self.at + size
        if end > len(self.raw):
            self._refuse(at, f"{len(self.raw) - at} more bytes", f"{size}")
        self.at = end
        return self.raw[at:end]

    def data(self) -> bytes:
        """Read a length and so many bytes."""
        start, size = self.at, self.int64()
        if size < 0:
            self._refuse(start, f"the length {size}", "0 or more")
        return self.fixed(size)

    def text(self) -> str:
        """Read a string."""
        start, text = self.at, self.data()
        try:
            return text.decode("utf-8")
        except UnicodeDecodeError as error:
            at = self.at - len(text) + error.start
            detail = f"byte {at}: saw a byte that is not UTF-8 in the string of byte {start}"
            raise Malformed(f"{detail}; allowed: UTF-8", "invalid_utf8") from None

    def index(self, size: int, what: str) -> int:
        """Read the position of one of `size` branches or symbols."""
        start, index = self.at, self.int64()
        if not 0 <= index < size:
            self._refuse(start, f"{what} {index}", f"0 to {size - 1}")
        return index

    def items(self, read: Callable[[Source], Any]) -> None:
        """Call `read` for each item of all blocks of an array or a map."""
        while True:
            start, count = self.at, self.int64()
            if count == 0:
                return
            end = None
            if count < 0:
                count, size = -count, self.int64()
                end = self.at + size
                if size < 0 or end > len(self.raw):
                    self._refuse(start, f"a block of {size} bytes", "a block within the record")
            self._charge(start, count)
            for _ in range(count):
                before = self.at
                read(self)
                if self.at == before:
                    self._spend(before)
            if end is not None and self.at != end:
                self._refuse(start, f"a block that ends at byte {self.at}", f"byte {end}, as said")

    def enter(self, members: int = 0) -> None:
        """Go into a record of so many fields, an array or a map."""
        self._depth += 1
        self._members -= 1 + members
        if self._members < 0:
            allowed = f"at most {_PER_BYTE} fields for each byte"
            self._refuse(self.at, "a further record", allowed)
        if self._depth > MAX_DEPTH:
            detail = f"byte {self.at}: allowed: {MAX_DEPTH} deep"
            raise Malformed(detail, "nested_too_deep")

    def leave(self) -> None:
        """Come back from it."""
        self._depth -= 1

    def _charge(self, start: int, count: int) -> None:
        if count > len(self.raw) - self.at + self._free:
            self._refuse(start, f"a block of {count} items", "at most as many as bytes")

    def _spend(self, start: int) -> None:
        self._free -= 1
        if self._free < 0:
            self._refuse(start, "a further item without bytes", f"at most {FREE_ITEMS} of them")

    def _refuse(self, at: int, saw: str, allowed: str) -> NoReturn:
        raise Malformed(f"byte {at}: saw {saw}; allowed: {allowed}")


def _byte(raw: bytes, at: int) -> int:
    try:
        return raw[at]
    except IndexError:
        raise Malformed(f"byte {at}: saw the end; allowed: the rest of the record") from None

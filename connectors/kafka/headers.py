"""All headers of a Kafka record, which Flink's map of them does not hold.

The Kafka table's `headers` is a map: it keeps the last value of each name, and no order. Our own
classes in the connectors' jar (connectors/src/main/java) therefore add the list of a record's
headers to each record that has any, as one more header, and write such a list as the headers of
a message.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from connectors.block import Headers
from connectors.sql import literal

LIST: Final = "streaming-etl.headers"
"""The header that holds the list, encoded as headers are in Kafka's record format."""

READING: Final = {"properties.interceptor.classes": "streaming.etl.headers.PackHeaders"}
"""The options of a table to read from."""

PACKED: Final = f"headers[{literal(LIST)}]"
"""The expression of the list in a table to read from; NULL for a record without headers."""

OWN_HEADER: Final = "header."
"""What a record's own headers begin with, beside ours that have no prefix."""

_FUNCTIONS: Final = {
    "header_names_of": "HeaderNames",
    "header_values_of": "HeaderValues",
    "packed_headers": "PackedHeaders",
}
_NULL: Final = -1


def writing(prefix: str = "") -> dict[str, str]:
    """Return the options of a table to write to; each name of a list gets the prefix.

    The list's headers come first, so that a reader that takes the last value gets ours. Where the
    prefixes would be more than 4096 bytes, the header `LIST` is written instead.
    """
    options = {"properties.interceptor.classes": "streaming.etl.headers.UnpackHeaders"}
    return options | ({"properties.streaming-etl.headers.prefix": prefix} if prefix else {})


def create_functions() -> Iterator[str]:
    """Yield the statements that create the SQL functions.

    `header_names_of(list)` and `header_values_of(list)` are arrays, and `packed_headers(names,
    values)` is a list; NULL gives NULL.
    """
    for name, java_class in _FUNCTIONS.items():
        yield (
            f"CREATE TEMPORARY SYSTEM FUNCTION {name}"
            f" AS 'streaming.etl.headers.{java_class}' LANGUAGE JAVA"
        )


def last_values(headers: Iterable[tuple[str, bytes | None]]) -> dict[str, str]:
    """Return the last value of each name as a string, without nulls: what Flink's map has."""
    return {
        name: bytes(value).decode(errors="replace")
        for name, value in dict(headers).items()
        if value is not None
    }


def unpack(packed: bytes) -> Headers:
    """Decode a list of headers; ValueError if it is damaged."""
    count, at = _varint(packed, 0)
    headers: list[tuple[str, bytes | None]] = []
    for _ in range(count):
        name, at = _value(packed, at)
        value, at = _value(packed, at)
        if name is None:
            raise ValueError("a header has no name")
        headers.append((name.decode(errors="replace"), value))
    return tuple(headers)


def _value(packed: bytes, at: int) -> tuple[bytes | None, int]:
    length, at = _varint(packed, at)
    if length == _NULL:
        return None, at
    if length < 0 or at + length > len(packed):
        raise ValueError("a header is longer than the list")
    return packed[at : at + length], at + length


def _varint(packed: bytes, at: int) -> tuple[int, int]:
    """Read a zigzag-encoded number of variable length; return it and where the next part begins."""
    number, shift = 0, 0
    while True:
        if at >= len(packed):
            raise ValueError("the list ends too early")
        byte = packed[at]
        number |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return (number >> 1) ^ -(number & 1), at

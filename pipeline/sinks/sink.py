"""What fills a sink."""

from __future__ import annotations

from typing import NamedTuple

from connectors.kinesis.table import Stream


class Sink(NamedTuple):
    """A sink's CREATE TABLE, the columns to select into it, and a placeholder's Kinesis stream."""

    create: str
    select: str
    stream: Stream | None = None

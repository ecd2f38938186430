"""Name the sink that lacks a record that is nowhere: the lake or the dead letters.

This calls the job's own decoder, so it is no evidence, only a hint where to look.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from pipeline.config.model import Decode
from pipeline.decode.decoder import Control, Decoder, Event
from pipeline.events.event_types import EventTypes

MOST: Final = 10_000
EVENT: Final = "event"
CONTROL: Final = "control"
REJECT: Final = "reject"

Outcome = tuple[str, str]
"""EVENT and the event type, REJECT and the reason, or CONTROL and ""."""


def attributor(settings: Decode, types: EventTypes) -> Callable[[bytes | None, int], Outcome]:
    """A function for what decode makes of a record that arrived then (epoch milliseconds)."""
    now = [0]
    decoder = Decoder(
        types,
        max_record_bytes=settings.max_record_bytes,
        unknown_fields=settings.unknown_fields,
        now=lambda: now[0],
    )

    def attribute(raw: bytes | None, arrival_ms: int) -> Outcome:
        now[0] = arrival_ms
        outcome = decoder.decode(raw)
        if isinstance(outcome, Event):
            return EVENT, outcome.event_type
        return (CONTROL, "") if isinstance(outcome, Control) else (REJECT, outcome.reason)

    return attribute

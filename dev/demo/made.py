"""What the generator makes: one record with everything the verifier must know about it."""

from __future__ import annotations

from typing import Final

import msgspec

EVENT: Final = "event"
CONTROL: Final = "control"


class Made(msgspec.Struct, frozen=True, gc=False):
    """One record as produced, with what must become of it.

    `expect` is "event", "control" or the reason code it must be rejected with.  The fields after
    it are meaningful for events only (0 and "" otherwise).  `content` is the checksum of all
    values (`connectors.checksums`); times are epoch milliseconds, UTC.
    """

    raw: bytes | None
    key: bytes | None
    expect: str
    event_type: str = ""
    trip_id: int = 0
    version_ms: int = 0
    pickup_location_id: int = 0
    pickup_ms: int = 0
    content: int = 0

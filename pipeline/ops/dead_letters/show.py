"""What `show` prints about one dead letter."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

from connectors.errors import UserError
from pipeline.decode.reasons import REASONS
from pipeline.decode.timestamps import text
from pipeline.ops.dead_letters.letter import Letter, escaped


def check_position(given: str) -> str:
    """Return the position; UserError if no record can have it."""
    if given.count("/") != 2 or "" in given.split("/"):
        raise UserError(
            f"{given!r} is no position: give topic/partition/offset or stream/shard/sequence"
            " number, as `dead-letters list` prints them."
        )
    return given


def fields(letter: Letter) -> dict[str, Any]:
    """Return everything known about it except its bytes, and the meaning of its reason."""
    reason = REASONS.get(letter.reason)
    return {
        "position": letter.where,
        "step": letter.step,
        "reason": letter.reason,
        "detail": letter.detail,
        "meaning": reason.meaning if reason else "",
        "action": reason.action if reason else "",
        "replica": letter.replica,
        "type": letter.event_type,
        "schema_version": letter.schema_version,
        "arrival_time": "" if letter.arrival_ms is None else text(letter.arrival_ms),
        "place": letter.place,
        "bytes": letter.raw_bytes,
        "sha256": letter.sha256,
        "full_record": letter.full_record,
    }


def lines(letter: Letter) -> Iterator[str]:
    """Return lines for people; unprintable characters are escaped."""
    for name, value in fields(letter).items():
        if value != "":
            yield f"{name}: {escaped(str(value))}"
    yield f"key: {'none' if letter.key is None else escaped(letter.key)}"
    head = (
        f" (the first {len(letter.raw or b''):,} bytes; --raw has all)" if letter.is_large else ""
    )
    yield f"raw{head}: {'none, a tombstone' if letter.raw is None else escaped(letter.raw)}"


def as_dict(letter: Letter) -> dict[str, Any]:
    """Return JSON: the bytes as text, and exactly in base64."""
    return {
        **fields(letter),
        "redrive_identity": letter.identity,
        "is_head": letter.is_large,
        "raw": None if letter.raw is None else escaped(letter.raw),
        "raw_base64": _base64(letter.raw),
        "key_base64": _base64(letter.key),
    }


def _base64(value: bytes | None) -> str | None:
    return None if value is None else base64.b64encode(value).decode()

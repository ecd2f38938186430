"""Dead letters as text for people and as JSON."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

from pipeline.decode.reasons import REASONS
from pipeline.decode.timestamps import text
from pipeline.ops.dead_letters.letter import Letter, escaped


def letter_lines(letter: Letter) -> Iterator[str]:
    """Yield a dead letter's fields for people, safe to print."""
    for name, value in _fields(letter).items():
        if value != "":
            yield f"{name}: {escaped(str(value))}"
    for name, content in letter.headers:
        size = "" if content is None else f" ({len(content):,} bytes)"
        yield f"header {escaped(name)}{size}: {'none' if content is None else escaped(content)}"
    yield f"key: {'none' if letter.key is None else escaped(letter.key)}"
    head = f" (the first {len(letter.raw or b''):,} bytes; --raw has all)"
    raw = "none, a tombstone" if letter.raw is None else escaped(letter.raw)
    yield f"raw{head if letter.full_record else ''}: {raw}"


def letter_dict(letter: Letter) -> dict[str, Any]:
    """Return a dead letter for JSON, with its bytes as text and in base64."""
    return {
        **_fields(letter),
        "redrive_identity": letter.identity,
        "is_head": bool(letter.full_record),
        "raw": None if letter.raw is None else escaped(letter.raw),
        "raw_base64": _base64(letter.raw),
        "key_base64": _base64(letter.key),
        "headers": [
            {"name": name, "value_base64": _base64(value)} for name, value in letter.headers
        ],
    }


def _fields(letter: Letter) -> dict[str, Any]:
    """Return all fields but the bytes, with the meaning of the reason."""
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
        "arrival_time": time_text(letter.arrival_ms),
        "place": letter.place,
        "bytes": letter.raw_bytes,
        "sha256": letter.sha256,
        "full_record": letter.full_record,
    }


def time_text(millis: int | None) -> str:
    """Return a time in ISO-8601, UTC; empty if it is unknown."""
    return "" if millis is None else text(millis)


def _base64(value: bytes | None) -> str | None:
    return None if value is None else base64.b64encode(value).decode()

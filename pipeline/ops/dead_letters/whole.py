"""The whole of a dead letter: a record too large for its target is stored in a folder on S3."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from connectors import positions
from connectors.positions import Position
from pipeline.ops.dead_letters.letter import Letter
from pipeline.ops.dead_letters.read import rows
from pipeline.ops.readers.carried import OpenFolder


class Whole(NamedTuple):
    """The original record's bytes and key."""

    raw: bytes | None
    key: bytes | None


def whole(letter: Letter, open_folder: OpenFolder) -> Whole | str:
    """Return the original record, or why it is not available.

    Length and SHA-256 of a large record are compared with those of the dead letter.
    """
    if not letter.is_large:
        return Whole(letter.raw, letter.key)
    differs = False
    for _, _, row in rows(open_folder(letter.full_record)):
        if Position(*map(row.get, positions.COLUMNS)) == letter.position:
            if _is_meant(letter, row["raw"]):
                return Whole(row["raw"], row.get("key"))
            differs = True
    if differs:
        return "its whole record on S3 differs from it in length or SHA-256"
    return "its whole record is not on S3"


def _is_meant(letter: Letter, raw: bytes | None) -> bool:
    return (
        raw is not None
        and len(raw) == letter.raw_bytes
        and hashlib.sha256(raw).hexdigest() == letter.sha256
    )

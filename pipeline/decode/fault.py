"""Why a record is rejected."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a record is rejected. Type and version are "" and 0 where they are not known."""

    reason: str
    detail: str
    event_type: str = ""
    schema_version: int = 0

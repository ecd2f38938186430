"""Drafts of schemas of a few events, for the tests of `schemas infer`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.events.event_types import load
from pipeline.ops.infer.drafter import Draft, Roles, infer, text

BASE = {"type": "reading", "reading_id": "r-1", "at": "2026-01-01T00:00:00Z"}
NOW = datetime(2026, 2, 1, tzinfo=UTC)
TIME = {"type": "long", "logicalType": "timestamp-millis"}


def drafted(*changes: dict[str, Any], roles: Roles | None = None) -> Draft:
    """The draft of events with these changes of BASE."""
    events = [{**BASE, "reading_id": f"r-{n}", **change} for n, change in enumerate(changes)]
    return infer(events, roles or Roles(), NOW)


def field(draft: Draft, name: str) -> dict[str, Any]:
    """A field of the draft."""
    found: dict[str, Any] = next(e for e in draft.schema["fields"] if e["name"] == name)
    return found


def kind(draft: Draft, name: str) -> Any:
    """The type of a field; None if there is no such field."""
    return next((each["type"] for each in draft.schema["fields"] if each["name"] == name), None)


def loads(draft: Draft, folder: Path) -> None:
    """Check that the draft is a schema."""
    (folder / "draft.avsc").write_text(text(draft.schema))
    assert load(folder).names == (draft.schema["eventType"],)

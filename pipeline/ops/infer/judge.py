"""Decode a sample with a draft of its schema."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from connectors.errors import UserError
from pipeline.decode.decoder import Decoder
from pipeline.decode.type_rule import TypeRule
from pipeline.events.event_types import load
from pipeline.ops.infer.drafter import Draft, text


def judged(draft: Draft, lines: Sequence[bytes]) -> list[str]:
    """Return how many of the lines a decoder with the draft accepts, and why it rejects others."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "draft.avsc")
        path.write_text(text(draft.schema), encoding="utf-8")
        try:
            types = load(Path(folder))
        except UserError as error:
            return [f"no schema yet: {error}".replace(f"{path}: ", "")]
    rule = TypeRule(field="", constant=draft.schema["eventType"])
    decoded = Decoder(types, type_rule=rule).decode_batch(lines)
    rejects = Counter(filter(None, decoded.reason.tolist()))
    details = dict(zip(decoded.reason.tolist(), decoded.detail.tolist(), strict=True))
    return [
        f"the draft accepts {len(lines) - rejects.total():,} of {len(lines):,} events",
        *(
            f"rejected {n:,} as {reason}, such as {details[reason]}"
            for reason, n in rejects.items()
        ),
    ]

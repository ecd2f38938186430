"""Says of a record that is nowhere which sink lacks it: the lake or the dead letters.

This asks the job's own decoder, so it is no evidence, only a hint where to look.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from connectors.positions import Positions
from pipeline.config.model import Decode
from pipeline.decode.decoder import Control, Decoder, Event
from pipeline.events.event_types import EventTypes
from pipeline.ops.reconcile.source import HEAD, Records

MOST: Final = 10_000


@dataclass(slots=True)
class Attributed:
    """Positions by what decode makes of their records: by event type, and by reason."""

    events: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    rejects: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    control: list[int] = field(default_factory=list)

    def known(self) -> Positions:
        """All positions of which something is said."""
        parts = [*self.events.values(), *self.rejects.values(), self.control]
        return np.array(sorted(sum(parts, [])), dtype=np.int64)


def attribute(pages: Iterable[Records], settings: Decode, types: EventTypes) -> Attributed:
    """What decode would have made of these records when they arrived."""
    now = [0]
    decoder = Decoder(
        types,
        max_record_bytes=settings.max_record_bytes,
        unknown_fields=settings.unknown_fields,
        now=lambda: now[0],
    )
    found = Attributed()
    for page in pages:
        for row, number in enumerate(page.numbers.tolist()):
            if page.flags[row] & HEAD:
                continue  # Of a head nothing can be said.
            now[0] = int(page.arrival[row])
            verdict = decoder.decode(page.raws[row])
            if isinstance(verdict, Event):
                found.events[verdict.event_type].append(number)
            elif isinstance(verdict, Control):
                found.control.append(number)
            else:
                found.rejects[verdict.reason].append(number)
    return found

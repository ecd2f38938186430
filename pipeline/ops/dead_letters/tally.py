"""Counts of what became of the chosen dead letters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pipeline.ops.dead_letters.letter import Letter

_SAMPLES = 3


@dataclass(slots=True)
class Tally:
    """`selected` = `redriven` + `already` + `cannot` (+ what was left when the run ended early).

    Copies of a dead letter, which a crash of the job leaves behind, are counted apart.
    """

    selected: int = 0
    copies: int = 0
    already: int = 0
    redriven: int = 0
    by_reason: Counter[tuple[str, str]] = field(default_factory=Counter)
    by_target: Counter[str] = field(default_factory=Counter)
    cannot: Counter[str] = field(default_factory=Counter)
    samples: dict[str, list[str]] = field(default_factory=dict)
    progress: Callable[[int], None] = lambda _: None

    def sent(self, letter: Letter, where: str) -> None:
        """Count one as sent there, or in a dry run as one that would be."""
        self.redriven += 1
        self.by_reason[letter.step, letter.reason] += 1
        self.by_target[where] += 1
        self.progress(self.redriven)

    def refuse(self, letter: Letter, why: str) -> None:
        """Count one that cannot be redriven."""
        self.cannot[why] += 1
        samples = self.samples.setdefault(why, [])
        if len(samples) < _SAMPLES:
            samples.append(letter.where or letter.place)

    def as_dict(self, *, dry_run: bool) -> dict[str, Any]:
        """Return the counts for JSON."""
        return {
            "dry_run": dry_run,
            "selected": self.selected,
            "copies": self.copies,
            "already_redriven": self.already,
            "would_redrive" if dry_run else "redriven": self.redriven,
            "by_reason": [
                {"step": step, "reason": reason, "count": count}
                for (step, reason), count in sorted(self.by_reason.items())
            ],
            "by_target": dict(sorted(self.by_target.items())),
            "cannot_be_redriven": {
                why: {"count": count, "samples": self.samples[why]}
                for why, count in sorted(self.cannot.items())
            },
        }

    def lines(self, *, dry_run: bool) -> list[str]:
        """Return the counts for people."""
        verb = "would be redriven" if dry_run else "redriven"
        found = [f"{self.redriven:,} of {self.selected:,} {verb}"]
        found += [f"  to {where}: {count:,}" for where, count in sorted(self.by_target.items())]
        found += [
            f"  {step} {reason}: {count:,}"
            for (step, reason), count in sorted(self.by_reason.items())
        ]
        if self.already:
            found.append(f"{self.already:,} already redriven")
        if self.copies:
            found.append(f"{self.copies:,} copies passed over")
        for why, count in sorted(self.cannot.items()):
            found.append(f"{count:,} cannot be redriven: {why}; {', '.join(self.samples[why])}")
        return found

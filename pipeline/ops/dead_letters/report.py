"""What the commands print: groups of dead letters, single ones, and the outcome of a redrive."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from pipeline.decode.reasons import REASONS
from pipeline.decode.timestamps import text
from pipeline.ops.dead_letters.letter import Letter, escaped

_GROUP_SAMPLES: Final = 2
_REFUSED_SAMPLES: Final = 3


@dataclass(slots=True)
class Group:
    """The dead letters of one reason, step and event type; `count` includes copies."""

    reason: str
    step: str
    event_type: str
    count: int = 0
    distinct: int = 0
    redriven: int = 0
    first_ms: int | None = None
    last_ms: int | None = None
    samples: list[str] = field(default_factory=list)

    def add(self, letter: Letter, *, is_redriven: bool) -> None:
        """Count a dead letter that is not a copy."""
        self.distinct += 1
        self.redriven += is_redriven
        if len(self.samples) < _GROUP_SAMPLES:
            self.samples.append(letter.where or letter.place)
        arrival = letter.arrival_ms
        if arrival is not None:
            self.first_ms = arrival if self.first_ms is None else min(self.first_ms, arrival)
            self.last_ms = arrival if self.last_ms is None else max(self.last_ms, arrival)

    def as_dict(self) -> dict[str, Any]:
        """Return the row to print, with times in ISO-8601."""
        return {
            "reason": self.reason,
            "step": self.step,
            "type": self.event_type,
            "count": self.count,
            "distinct": self.distinct,
            "redriven": self.redriven,
            "first": _time(self.first_ms),
            "last": _time(self.last_ms),
            "samples": self.samples,
        }


def groups(letters: Iterable[Letter], log: Collection[bytes]) -> list[Group]:
    """Group dead letters, the largest group first; `log` has the digests of redriven ones."""
    grouped: dict[tuple[str, str, str], Group] = {}
    digests: set[bytes] = set()
    for letter in letters:
        key = (letter.reason, letter.step, letter.event_type)
        group = grouped.setdefault(key, Group(*key))
        group.count += 1
        digest = letter.digest
        if digest not in digests:
            digests.add(digest)
            group.add(letter, is_redriven=digest in log)
    return sorted(grouped.values(), key=lambda each: (-each.count, each.reason, each.step))


def letter_lines(letter: Letter) -> Iterator[str]:
    """Yield a dead letter's fields for people, safe to print."""
    for name, value in _fields(letter).items():
        if value != "":
            yield f"{name}: {escaped(str(value))}"
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
        "arrival_time": _time(letter.arrival_ms),
        "place": letter.place,
        "bytes": letter.raw_bytes,
        "sha256": letter.sha256,
        "full_record": letter.full_record,
    }


@dataclass(slots=True)
class RedriveReport:
    """Counts of a redrive: `selected` = `redriven` + `already` + `cannot`.

    Less if an error ended it. Copies of a dead letter, which a crash of the job leaves, are
    counted separately.
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

    def add_redriven(self, letter: Letter, target: str) -> None:
        """Count a dead letter that was sent to a target, or would be in a dry run."""
        self.redriven += 1
        self.by_reason[letter.step, letter.reason] += 1
        self.by_target[target] += 1
        self.progress(self.redriven)

    def add_refused(self, letter: Letter, why: str) -> None:
        """Count a dead letter that cannot be redriven."""
        self.cannot[why] += 1
        samples = self.samples.setdefault(why, [])
        if len(samples) < _REFUSED_SAMPLES:
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
        lines = [f"{self.redriven:,} of {self.selected:,} {verb}"]
        lines += [f"  to {target}: {count:,}" for target, count in sorted(self.by_target.items())]
        lines += [
            f"  {step} {reason}: {count:,}"
            for (step, reason), count in sorted(self.by_reason.items())
        ]
        if self.already:
            lines.append(f"{self.already:,} already redriven")
        if self.copies:
            lines.append(f"{self.copies:,} copies skipped")
        for why, count in sorted(self.cannot.items()):
            lines.append(f"{count:,} cannot be redriven: {why}; {', '.join(self.samples[why])}")
        return lines


def _time(millis: int | None) -> str:
    return "" if millis is None else text(millis)


def _base64(value: bytes | None) -> str | None:
    return None if value is None else base64.b64encode(value).decode()

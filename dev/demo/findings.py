"""What a check of one sink answers: figures, and findings that name positions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from connectors.positions import Positions
from dev.demo.ledger import Ledger

_NAMED: Final = 5

Figure = int | None | dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """How often something that must not be was found, and where first."""

    name: str
    count: int
    meaning: str
    examples: tuple[str, ...] = ()
    is_error: bool = True

    def sentence(self) -> str:
        """The finding for people."""
        more = ", ..." if self.count > len(self.examples) else ""
        return f"{self.name} {self.count:,}: {self.meaning}: {', '.join(self.examples)}{more}"


@dataclass(frozen=True, slots=True)
class Checked:
    """The outcome of one check."""

    figures: dict[str, Figure]
    findings: list[Finding] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of all checks; a sink that wasn't looked at has None for its figures."""

    figures: dict[str, Figure]
    findings: list[Finding]

    @property
    def ok(self) -> bool:
        """Whether nothing is missing, doubled, damaged or misplaced."""
        return not self.problems()

    def problems(self) -> list[str]:
        """One sentence for each thing that is wrong, naming the first positions."""
        wrong = (finding for finding in self.findings if finding.is_error and finding.count)
        return [finding.sentence() for finding in wrong]

    def as_dict(self) -> dict[str, Figure]:
        """All figures by name, for the report."""
        return dict(self.figures)


def at_positions(
    ledger: Ledger, name: str, meaning: str, positions: Positions, *, is_error: bool = True
) -> Finding:
    """A finding about these positions."""
    return _finding(name, meaning, values=positions, describe=ledger.describe, is_error=is_error)


def at_ids(name: str, meaning: str, *, event_type: str, ids: NDArray[np.int64]) -> Finding:
    """A finding about these trip ids of one event type."""
    return _finding(
        name, meaning, values=ids, describe=lambda number: f"{event_type} {number}", is_error=True
    )


def together(findings: list[Finding]) -> Finding:
    """Findings of one name as one, say of several event types."""
    first = findings[0]
    examples = [example for finding in findings for example in finding.examples]
    return Finding(
        name=first.name,
        count=sum(finding.count for finding in findings),
        meaning=first.meaning,
        examples=tuple(examples[:_NAMED]),
        is_error=first.is_error,
    )


def _finding(
    name: str,
    meaning: str,
    *,
    values: NDArray[Any],
    describe: Callable[[int], str],
    is_error: bool,
) -> Finding:
    ordered = np.sort(values)[:_NAMED].tolist()
    return Finding(
        name=name,
        count=len(values),
        meaning=meaning,
        examples=tuple(describe(value) for value in ordered),
        is_error=is_error,
    )

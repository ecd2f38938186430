"""The index step: brings documents into OpenSearch and says of each what became of it.

It never raises for what a server does and never waits without bound: an OpenSearch that stays away
costs `RetryPolicy.seconds` once, then a circuit breaker lets the rest of the job run on.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from connectors.opensearch.bulk import (
    Document,
    Done,
    Limits,
    Outcome,
    Rejected,
    Retry,
    Send,
    Split,
    Unreachable,
    encode,
    newest,
    read_answer,
    split,
    unfit,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How long to insist. All figures are seconds.

    `seconds` bounds what one call of `index` may lose to failed requests and pauses; it ends at
    most one request timeout later, so keep the sum below the checkpoint timeout.
    """

    seconds: float = 30.0
    first_pause: float = 0.2
    longest_pause: float = 5.0
    breaker_seconds: float = 30.0

    def __post_init__(self) -> None:
        if self.seconds < 0 or self.first_pause <= 0 or self.breaker_seconds < 0:
            raise ValueError(f"seconds >= 0, first_pause > 0, breaker_seconds >= 0, not {self}")


@dataclass(slots=True)
class Counts:
    """Running totals since the start. `seconds` is the time spent waiting for bulk answers."""

    indexed: int = 0
    stale: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    retries: int = 0
    requests: int = 0
    bytes: int = 0
    seconds: float = 0.0

    def add(self, outcome: Outcome) -> None:
        if outcome is Done.INDEXED:
            self.indexed += 1
        elif outcome is Done.STALE:
            self.stale += 1
        else:
            assert isinstance(outcome, Rejected)
            self.rejected[outcome.reason] += 1


class Breaker:
    """Remembers per index that it did not take documents, and for how long not to ask again.

    Per index, since one write-blocked index must not keep the others from being written.
    """

    def __init__(self, seconds: float, clock: Callable[[], float]) -> None:
        self._seconds = seconds
        self._clock = clock
        self._shut: dict[str, tuple[float, str]] = {}

    def refusal(self, index: str) -> str | None:
        """Why documents of `index` are not to be sent now; None when they may (or as a probe)."""
        shut = self._shut.get(index)
        return shut[1] if shut and self._clock() < shut[0] else None

    def probing(self, index: str) -> bool:
        """Whether `index` failed before and has not answered since: it gets one try only."""
        return index in self._shut

    def open(self, index: str, detail: str) -> None:
        self._shut[index] = (self._clock() + self._seconds, detail)

    def close(self, index: str) -> None:
        self._shut.pop(index, None)


@dataclass(slots=True)
class _Call:
    """The state of one call of `Indexer.index`."""

    documents: Sequence[Document]
    lines: list[bytes]
    outcomes: dict[int, Outcome] = field(default_factory=dict)
    lost: float = 0.0
    failures: int = 0


class Indexer:
    """Delivers documents through `send`. One per thread; keeps no documents between calls."""

    def __init__(
        self,
        send: Send,
        *,
        limits: Limits,
        retry: RetryPolicy,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
        random: Callable[[], float],
    ) -> None:
        """`clock` counts seconds and never goes back, `random` draws from 0 up to 1."""
        self.counts = Counts()
        self._send = send
        self._limits = limits
        self._retry = retry
        self._clock = clock
        self._sleep = sleep
        self._random = random
        self._breaker = Breaker(retry.breaker_seconds, clock)

    def index(self, documents: Sequence[Document]) -> list[Outcome]:
        """The outcome of each document, in input order. On return nothing is under way.

        Of several documents with one id only the one to stay is sent; the others are STALE, or,
        where the server rejects that one, take its place. One gap remains: a request that timed
        out may still be carried out by the server after a later call wrote the same version.
        """
        call = _Call(documents, [encode(document) for document in documents])
        pending = self._sift(call)
        while pending:
            superseded = newest(documents, pending)
            self._deliver(call, list(superseded))
            pending = []
            for winner, others in superseded.items():
                if isinstance(call.outcomes[winner], Rejected):
                    pending += others
                else:
                    call.outcomes.update(dict.fromkeys(others, Done.STALE))
            pending.sort()
        return self._count([call.outcomes[position] for position in range(len(documents))])

    def _sift(self, call: _Call) -> list[int]:
        """Rejects what may never be sent; returns the rest."""
        rest = []
        for position, (document, line) in enumerate(zip(call.documents, call.lines, strict=True)):
            rejected = unfit(document, len(line), self._limits)
            if rejected is None:
                rest.append(position)
            else:
                call.outcomes[position] = rejected
        return rest

    def _deliver(self, call: _Call, positions: list[int]) -> None:
        batches = deque(split(positions, call.lines, self._limits))
        while batches:
            batch = self._allowed(call, batches.popleft())
            if batch:
                batches.extendleft(reversed(self._attempt(call, batch)))

    def _allowed(self, call: _Call, batch: list[int]) -> list[int]:
        """The documents of `batch` that the breaker lets pass; the others are rejected."""
        allowed = []
        for position in batch:
            refusal = self._breaker.refusal(call.documents[position].index)
            if refusal is None:
                allowed.append(position)
            else:
                call.outcomes[position] = Rejected("index_unavailable", refusal)
        return allowed

    def _attempt(self, call: _Call, batch: list[int]) -> list[list[int]]:
        """Sends `batch` once, notes what is decided and returns the batches to send next."""
        started = self._clock()
        verdict = self._ask(b"".join([call.lines[position] for position in batch]), len(batch))
        took = self._clock() - started
        self.counts.seconds += took
        if isinstance(verdict, Split):
            if len(batch) > 1:
                return _halves(batch)
            verdict = [verdict.verdict]
        if isinstance(verdict, Retry):
            parts = _halves(batch) if verdict.split and len(batch) > 1 else [batch]
            call.lost += took
            return self._insist(call, parts, dict.fromkeys(batch, verdict.detail))
        if all(isinstance(item, Retry) for item in verdict):
            call.lost += took
        else:
            call.failures = 0
        return self._settle(call, dict(zip(batch, verdict, strict=True)))

    def _ask(self, body: bytes, count: int) -> list[Outcome | Retry] | Retry | Split:
        self.counts.requests += 1
        self.counts.bytes += len(body)
        try:
            return read_answer(self._send(body), count)
        except Unreachable as error:
            return Retry(str(error), split=error.reset)

    def _settle(self, call: _Call, verdicts: dict[int, Outcome | Retry]) -> list[list[int]]:
        """Notes the decided items; only the others are sent again."""
        undecided: dict[int, str] = {}
        for position, verdict in verdicts.items():
            if isinstance(verdict, Retry):
                undecided[position] = verdict.detail
            else:
                call.outcomes[position] = verdict
        for index in {call.documents[p].index for p in verdicts if p not in undecided}:
            self._breaker.close(index)
        return self._insist(call, [list(undecided)], undecided) if undecided else []

    def _insist(
        self, call: _Call, parts: list[list[int]], details: dict[int, str]
    ) -> list[list[int]]:
        """Pauses before another try of `parts`; gives up what has had its tries or its time."""
        if call.lost >= self._retry.seconds:
            self._give_up(call, details)
            return []
        documents, probing = call.documents, self._breaker.probing
        probes = {p: detail for p, detail in details.items() if probing(documents[p].index)}
        self._give_up(call, probes)
        rest = [[p for p in part if p not in probes] for part in parts]
        if any(rest):
            self.counts.retries += 1
            self._pause(call)
        return [part for part in rest if part]

    def _give_up(self, call: _Call, details: dict[int, str]) -> None:
        for position, detail in details.items():
            call.outcomes[position] = Rejected("index_unavailable", detail)
            self._breaker.open(call.documents[position].index, detail)

    def _pause(self, call: _Call) -> None:
        """Exponential back-off with full jitter, so that parallel workers do not come in step."""
        ceiling = self._retry.first_pause * 2.0 ** min(call.failures, 30)
        pause = self._random() * min(ceiling, self._retry.longest_pause)
        pause = max(pause, self._retry.first_pause / 10)  # so that the tries are bounded too
        pause = min(pause, self._retry.seconds - call.lost)
        call.failures += 1
        call.lost += pause
        self._sleep(pause)

    def _count(self, outcomes: list[Outcome]) -> list[Outcome]:
        for outcome in outcomes:
            self.counts.add(outcome)
        return outcomes


def _halves(batch: list[int]) -> list[list[int]]:
    middle = len(batch) // 2
    return [batch[:middle], batch[middle:]]

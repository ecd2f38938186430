"""The index step: sends documents to OpenSearch and returns the outcome of each.

It never raises for what a server does and never waits without bound: an unreachable OpenSearch
costs `RetryPolicy.seconds` once, then a circuit breaker lets the rest of the job run on.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Collection, Sequence
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
    """How long to retry, in seconds.

    `seconds` bounds what one call of `index` may lose to failed requests and pauses; it ends at
    most one request timeout later, so keep the sum below the checkpoint timeout.
    `breaker_seconds` is how long the circuit breaker stays open before a trial request.
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
    """Running totals since the start."""

    indexed: int = 0
    stale: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    retries: int = 0
    requests: int = 0
    bytes: int = 0

    def add(self, outcomes: Sequence[Outcome]) -> None:
        indexed, stale = outcomes.count(Done.INDEXED), outcomes.count(Done.STALE)
        self.indexed += indexed
        self.stale += stale
        if indexed + stale < len(outcomes):
            self.rejected.update(each.reason for each in outcomes if isinstance(each, Rejected))


class Breaker:
    """A circuit breaker for each index: one write-blocked index must not stop the others."""

    def __init__(self, seconds: float, clock: Callable[[], float]) -> None:
        self._seconds = seconds
        self._clock = clock
        self._opened: dict[str, tuple[float, str]] = {}

    def refusal(self, index: str) -> str | None:
        """Return why not to send documents of `index` now; None if they may be sent."""
        until, detail = self._opened.get(index, (0.0, None))
        return detail if self._clock() < until else None

    def probing(self, index: str) -> bool:
        """Return whether `index` failed and has not answered since: it gets one attempt only."""
        return index in self._opened

    def open(self, index: str, detail: str) -> None:
        self._opened[index] = (self._clock() + self._seconds, detail)

    def close(self, indices: Collection[str]) -> None:
        for index in indices:
            self._opened.pop(index, None)


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
        """Return the outcome of each document, in input order; no request is pending then.

        Of several documents with one id only the newest is sent; the others are STALE, or, if the
        server rejects the newest, are sent in its place. One gap remains: the server may still
        execute a request that timed out after a later call wrote the same version.
        """
        call = _Call(documents, [encode(document) for document in documents])
        pending = self._fit(call)
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
        outcomes = [call.outcomes[position] for position in range(len(documents))]
        self.counts.add(outcomes)
        return outcomes

    def _fit(self, call: _Call) -> list[int]:
        """Reject documents that may never be sent; return the positions of the others."""
        for position, (document, line) in enumerate(zip(call.documents, call.lines, strict=True)):
            if rejected := unfit(document, len(line), self._limits):
                call.outcomes[position] = rejected
        return [position for position in range(len(call.lines)) if position not in call.outcomes]

    def _deliver(self, call: _Call, positions: list[int]) -> None:
        batches = deque(split(positions, call.lines, self._limits))
        while batches:
            batch = self._allowed(call, batches.popleft())
            if batch:
                batches.extendleft(reversed(self._attempt(call, batch)))

    def _allowed(self, call: _Call, batch: list[int]) -> list[int]:
        """Return the documents of `batch` that the breaker lets pass; reject the others."""
        indices = {call.documents[position].index for position in batch}
        refusals = {index: self._breaker.refusal(index) for index in indices}
        refused = {index: why for index, why in refusals.items() if why is not None}
        if not refused:
            return batch
        for position in batch:
            if (index := call.documents[position].index) in refused:
                call.outcomes[position] = Rejected("index_unavailable", refused[index])
        return [position for position in batch if position not in call.outcomes]

    def _attempt(self, call: _Call, batch: list[int]) -> list[list[int]]:
        """Send `batch` once, record what is decided, and return the batches to send next."""
        started = self._clock()
        verdict = self._request(b"".join([call.lines[position] for position in batch]), len(batch))
        took = self._clock() - started
        if isinstance(verdict, Split):
            if len(batch) > 1:
                return _halves(batch)
            verdict = [verdict.verdict]
        if isinstance(verdict, Retry):
            parts = _halves(batch) if verdict.split and len(batch) > 1 else [batch]
            call.lost += took
            return self._retry_later(call, parts, dict.fromkeys(batch, verdict.detail))
        if all(isinstance(item, Retry) for item in verdict):
            call.lost += took
        else:
            call.failures = 0
        return self._settle(call, dict(zip(batch, verdict, strict=True)))

    def _request(self, body: bytes, count: int) -> list[Outcome | Retry] | Retry | Split:
        self.counts.requests += 1
        self.counts.bytes += len(body)
        try:
            return read_answer(self._send(body), count)
        except Unreachable as error:
            return Retry(str(error), split=error.reset)

    def _settle(self, call: _Call, verdicts: dict[int, Outcome | Retry]) -> list[list[int]]:
        """Record the decided items; only the others are sent again."""
        undecided = {
            position: verdict.detail
            for position, verdict in verdicts.items()
            if isinstance(verdict, Retry)
        }
        decided = {at: each for at, each in verdicts.items() if not isinstance(each, Retry)}
        call.outcomes.update(decided)
        self._breaker.close({call.documents[position].index for position in decided})
        return self._retry_later(call, [list(undecided)], undecided) if undecided else []

    def _retry_later(
        self, call: _Call, parts: list[list[int]], details: dict[int, str]
    ) -> list[list[int]]:
        """Pause before another attempt of `parts`; give up what has no attempt or time left."""
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
        """Back off exponentially with full jitter, so that parallel workers do not synchronise."""
        ceiling = self._retry.first_pause * 2.0 ** min(call.failures, 30)
        pause = self._random() * min(ceiling, self._retry.longest_pause)
        pause = max(pause, self._retry.first_pause / 10)  # bounds the number of attempts
        pause = min(pause, self._retry.seconds - call.lost)
        call.failures += 1
        call.lost += pause
        self._sleep(pause)


def _halves(batch: list[int]) -> list[list[int]]:
    middle = len(batch) // 2
    return [batch[:middle], batch[middle:]]

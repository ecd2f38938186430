"""OpenSearch's `_bulk` request: how documents are encoded and how the response is read.

Pure functions. The classification of responses was measured on OpenSearch 2.19.1.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

import msgspec

MAX_REQUEST_BYTES = 10_000_000
"""Below 10 MiB, the limit of request bodies of smaller Amazon OpenSearch instance types."""

BULK_PARAMETERS = {"filter_path": "errors,items.*.status,items.*.error.type,items.*.error.reason"}
"""Request only what `read_answer` needs; `status` is in every item, so none is left out."""

_DETAIL_LIMIT = 300
_LONGEST_CHARACTER = 4  # Bytes, in UTF-8.
_LINES = b"""{"index":{"_index":%b,"_id":%b,"version":%d,"version_type":"external_gte"}}
%b
"""
_NOT_THE_DOCUMENT = (401, 403, 408, 429)  # 403: index write block, or missing permission
_QUOTED_VALUE = re.compile(
    r"[ .]*(Preview of field's value:|The prefix of the first immense term).*", re.DOTALL
)


class Document(msgspec.Struct, frozen=True, gc=False):
    """A document: `body` is JSON in one line. Of two with one `id` the higher `version` wins."""

    index: str
    id: str
    version: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """A response: the HTTP status and the body as received."""

    status: int
    body: bytes


class Unreachable(Exception):
    """There was no response: refused, timed out, reset, TLS failed. The message has no payload.

    `reset` means that the server reset the connection, as it does for requests that are too large.
    """

    def __init__(self, detail: str, *, reset: bool = False) -> None:
        super().__init__(detail)
        self.reset = reset


Send: TypeAlias = Callable[[bytes], Answer]
"""Sends one `_bulk` body (with BULK_PARAMETERS) once, without retries. Raises Unreachable."""


class Done(Enum):
    """The index stored the document (INDEXED), or has or is about to store a newer one (STALE)."""

    INDEXED = "indexed"
    STALE = "stale"


@dataclass(frozen=True, slots=True)
class Rejected:
    """The document becomes a dead letter. `detail` is bounded and has no value of the event."""

    reason: str
    detail: str


Outcome: TypeAlias = Done | Rejected


@dataclass(frozen=True, slots=True)
class Retry:
    """An item or a request to send again; a request with `split` in two halves."""

    detail: str
    split: bool = False


@dataclass(frozen=True, slots=True)
class Split:
    """A request to send in two halves: something in it was rejected.

    If it had a single document, `verdict` is that document's.
    """

    verdict: Rejected


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits of a request and of a document; bytes are of the uncompressed body."""

    documents: int = 1_000
    bytes: int = 5_000_000
    id_bytes: int = 512

    def __post_init__(self) -> None:
        if not (self.documents >= 1 and 1_000 <= self.bytes < MAX_REQUEST_BYTES):
            raise ValueError(f"at least 1 document and 1,000 to 9,999,999 bytes, not {self}")


class _Error(msgspec.Struct, gc=False):
    type: str | None = None
    reason: str | None = None


class _Item(msgspec.Struct, gc=False):
    status: int
    error: _Error | None = None


class _Items(msgspec.Struct, gc=False):
    errors: bool
    items: list[dict[str, _Item]]


class _Failure(msgspec.Struct):
    error: _Error | str | None = None


_encode = msgspec.json.Encoder().encode
_decode_items = msgspec.json.Decoder(_Items).decode
_decode_failure = msgspec.json.Decoder(_Failure).decode


def encode(document: Document) -> bytes:
    """Return the two lines of a document: action and source.

    With `external_gte` an older version never overwrites a newer one. An equal version does, so
    that a replay changes nothing and the later of two arrivals with one version wins.
    """
    named = _encode(document.index), _encode(document.id)
    return _LINES % (*named, document.version, document.body)


def unfit(document: Document, size: int, limits: Limits) -> Rejected | None:
    """Return why a document, encoded in `size` bytes, must not be sent; None if it may."""
    if len(document.id) * _LONGEST_CHARACTER > limits.id_bytes:
        id_bytes = len(document.id.encode("utf-8", "surrogatepass"))
        if id_bytes > limits.id_bytes:
            return Rejected("document_id_too_long", f"{id_bytes} bytes, at most {limits.id_bytes}")
    if size > limits.bytes:
        return Rejected("document_too_large", f"{size} bytes, at most {limits.bytes}")
    if b"\n" in document.body:  # would be read as further actions
        return Rejected("index_rejected", "the document holds a line break")
    return None


def split(positions: Iterable[int], lines: Sequence[bytes], limits: Limits) -> list[list[int]]:
    """Split `positions` in order into batches within `limits`; a larger document is alone."""
    batches: list[list[int]] = []
    size = 0
    for position in positions:
        length = len(lines[position])
        if not batches or len(batches[-1]) == limits.documents or size + length > limits.bytes:
            batches.append([])
            size = 0
        batches[-1].append(position)
        size += length
    return batches


def newest(documents: Sequence[Document], positions: Sequence[int]) -> dict[int, Sequence[int]]:
    """Return for each (index, id) the position that wins, with the positions it supersedes.

    The winner has the highest version and, among equal versions, arrived last. Only winners are
    sent, so that no retry of one can overwrite a later one of the same version.
    """
    # Texts, as no name of an index has a slash: Python's garbage collector looks at no text.
    keys = [f"{document.index}/{document.id}" for document in (documents[at] for at in positions)]
    times = Counter(keys)
    winners: dict[int, Sequence[int]] = {}
    groups: dict[str, list[int]] = {}
    for key, position in zip(keys, positions, strict=True):
        if times[key] == 1:
            winners[position] = ()
        else:
            groups.setdefault(key, []).append(position)
    for group in groups.values():
        winner = max(group, key=lambda position: (documents[position].version, position))
        group.remove(winner)
        winners[winner] = group
    return dict(sorted(winners.items())) if groups else winners


def read_answer(answer: Answer, count: int) -> list[Outcome | Retry] | Retry | Split:
    """Return the verdict of each of `count` documents in order, or one on the whole request.

    A request that fails with 401, 403 or 404 is sent again: that is a matter of configuration,
    not of the documents.
    """
    if answer.status == 200:
        return _read_items(answer.body, count)
    detail = _describe(answer.status, _whole_error(answer.body))
    if answer.status == 400:
        return Split(Rejected("index_rejected", detail))
    if answer.status == 413:
        return Split(Rejected("document_too_large", detail))
    return Retry(detail)


def _read_items(body: bytes, count: int) -> list[Outcome | Retry] | Retry:
    try:
        response = _decode_items(body)
    except msgspec.DecodeError:
        return Retry("status 200 with a response that is not one of _bulk")
    if len(response.items) != count:
        return Retry(f"a response for {len(response.items)} documents to a request of {count}")
    if not response.errors:
        return [Done.INDEXED] * count
    return [_read_item(item) for pair in response.items for item in pair.values()]


def _read_item(item: _Item) -> Outcome | Retry:
    status = item.status
    if status in (200, 201):
        return Done.INDEXED
    if status == 409:
        return Done.STALE
    detail = _describe(status, item.error)
    closed = item.error is not None and item.error.type == "index_closed_exception"
    if status in _NOT_THE_DOCUMENT or status >= 500 or closed:  # closed comes as 400
        return Retry(detail)
    return Rejected("index_missing" if status == 404 else "index_rejected", detail)


def _whole_error(body: bytes) -> _Error | None:
    try:
        error = _decode_failure(body).error
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return _Error(reason=error) if isinstance(error, str) else error


def _describe(status: int, error: _Error | None) -> str:
    """Return status, error type and reason, without the value that OpenSearch quotes."""
    parts = [error.type, error.reason] if error else []
    text = ": ".join([str(status), *(part for part in parts if part)])
    return _QUOTED_VALUE.sub("", text)[:_DETAIL_LIMIT]

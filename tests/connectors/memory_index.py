"""An index in memory that answers `_bulk` bodies as OpenSearch does.

One contract suite, test_index_contract.py, runs on it and on the real server.
It covers what the index step depends on: index actions, external_gte versions, strict
mappings of plain types without coercion, blocks, and the size and id limits.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import msgspec

from connectors.opensearch.bulk import Answer, Unreachable

Fault: TypeAlias = Unreachable | int | frozenset[int]
"""Instead of the usual answer: none; a whole-request status; or item 429 at these positions."""

_INTEGERS = {"byte": 7, "short": 15, "integer": 31, "long": 63}
_LONGEST_ID = 512


class _Refused(Exception):
    """The server refuses the whole request."""


class _Failed(Exception):
    """The server refuses one item: status, error type, reason."""


@dataclass(slots=True)
class MemoryIndex:
    """Call it with a `_bulk` body. `mappings` is index -> field -> type; others do not exist.

    `faults` are used up one per request before anything is stored; None means no fault.
    """

    mappings: dict[str, Mapping[str, str]]
    faults: deque[Fault | None] = field(default_factory=deque)
    largest_request: int = 100 * 1024 * 1024
    blocked: set[str] = field(default_factory=set)
    stored: dict[tuple[str, str], tuple[int, Any]] = field(default_factory=dict)

    def __call__(self, body: bytes) -> Answer:
        fault = self.faults.popleft() if self.faults else None
        if isinstance(fault, Unreachable):
            raise fault
        if isinstance(fault, int):
            return _whole(fault, "injected_exception", "injected")
        if len(body) > self.largest_request:
            return _whole(413, "content_too_long", "too large")
        try:
            pairs = _parse(body)
        except _Refused as refused:
            return _whole(400, "action_request_validation_exception", str(refused))
        return _items(
            self._item(target, source, pressed=bool(fault and position in fault))
            for position, (target, source) in enumerate(pairs)
        )

    def _item(self, target: dict[str, Any], source: bytes, *, pressed: bool) -> dict[str, Any]:
        try:
            if pressed:
                raise _Failed(429, "rejected_execution_exception", "injected")
            return {"status": self._store(target, source)}
        except _Failed as failed:
            status, kind, reason = failed.args
            return {"status": status, "error": {"type": kind, "reason": reason}}

    def _store(self, target: dict[str, Any], source: bytes) -> int:
        index, key = target["_index"], (target["_index"], target["_id"])
        self._admit(index, target["_id"])
        document = _parse_source(source, self.mappings[index])
        held = self.stored.get(key)
        if held and held[0] > target["version"]:
            raise _Failed(409, "version_conflict_engine_exception", "current version is higher")
        self.stored[key] = (target["version"], document)
        return 200 if held else 201

    def _admit(self, index: str, key: str) -> None:
        if index not in self.mappings:
            raise _Failed(404, "index_not_found_exception", f"no such index [{index}]")
        if index in self.blocked:
            raise _Failed(403, "cluster_block_exception", f"index [{index}] blocked")
        if not key:
            raise _Failed(400, "illegal_argument_exception", "_id must not be empty")


def _parse(body: bytes) -> list[tuple[dict[str, Any], bytes]]:
    """The (target, source) pairs of a request; _Refused for what spoils all of it."""
    lines = body.split(b"\n")
    if lines.pop() != b"" or not lines or len(lines) % 2:
        raise _Refused("The bulk request must be terminated by a newline [\\n]")
    targets = [_target(line) for line in lines[::2]]
    return list(zip(targets, lines[1::2], strict=True))


def _target(line: bytes) -> dict[str, Any]:
    try:
        action = msgspec.json.decode(line, type=dict[str, dict[str, Any]])
        target = action["index"]
    except (msgspec.DecodeError, KeyError):
        raise _Refused("Malformed action/metadata line") from None
    if len(target["_id"].encode()) > _LONGEST_ID:
        raise _Refused(f"id is too long, must be no longer than {_LONGEST_ID} bytes")
    if target["version"] < 0:
        raise _Refused(f"illegal version value [{target['version']}] for version type")
    return target


def _parse_source(source: bytes, types: Mapping[str, str]) -> dict[str, Any]:
    try:
        document = msgspec.json.decode(source, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise _Failed(400, "mapper_parsing_exception", "failed to parse") from None
    for name, value in document.items():
        if name not in types:
            reason = f"mapping set to strict, dynamic introduction of [{name}] is not allowed"
            raise _Failed(400, "strict_dynamic_mapping_exception", reason)
        if value is not None and not _suits(value, types[name]):
            reason = f"failed to parse field [{name}] of type [{types[name]}]"
            raise _Failed(400, "mapper_parsing_exception", reason)
    return document


def _suits(value: object, kind: str) -> bool:
    if kind in _INTEGERS:
        bound = 2 ** _INTEGERS[kind]
        return type(value) is int and -bound <= value < bound
    if kind in ("float", "double"):
        return type(value) in (int, float)
    return not isinstance(value, dict | list)


def _items(items: Iterable[dict[str, Any]]) -> Answer:
    made = list(items)
    answer = {
        "errors": any("error" in item for item in made),
        "items": [{"index": item} for item in made],
    }
    return Answer(200, msgspec.json.encode(answer))


def _whole(status: int, kind: str, reason: str) -> Answer:
    error = {"error": {"type": kind, "reason": reason}, "status": status}
    return Answer(status, msgspec.json.encode(error))

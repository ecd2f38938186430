"""The fast path in Rust: it accepts what it fully understands, and hands on all other records.

It never judges: whatever it hands on is decoded by Python, whose answer counts. Types with fields
that it does not know are handed on as a whole, so a new kind of field is only slower.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import msgspec
import numpy as np
import pyarrow as pa

from connectors.errors import UserError
from pipeline import __version__
from pipeline.config.model import Native
from pipeline.decode.assembly import Part
from pipeline.decode.bounds import time_range, wire_factor
from pipeline.decode.columns import Array
from pipeline.decode.native_checks import Check, checks_of
from pipeline.decode.outcome import Table
from pipeline.decode.type_rule import TypeRule
from pipeline.events.limits import EPOCH_FRACTIONS
from pipeline.events.model import EXACT_IN_DOUBLE, PLAIN, EventType, EventTypes, Field

MODULE: Final = "streaming_etl_native"

_log = logging.getLogger(__name__)
_FAULTS: Final = (
    *(ArithmeticError, AssertionError, AttributeError, LookupError, MemoryError, RuntimeError),
    *(TypeError, ValueError, pa.ArrowException),
)
"""Whatever a fault of the extension or of this module could raise: Python decodes the batch."""

Parts = Sequence[tuple[int, Any, Sequence[Any], Any]]


class FlatDecoder(Protocol):
    """The class of the extension; its documentation is in `native/src/lib.rs`."""

    def decode(
        self,
        raws: list[bytes | None],
        bounds: list[list[tuple[int, int]]],
        types: list[int] | None,
    ) -> tuple[Parts, Any]: ...


@dataclass(frozen=True, slots=True)
class Accepted:
    """The events of a batch that need no other decoder, and the rows of all other records."""

    parts: list[Part]
    rest: Array


@dataclass(frozen=True, slots=True)
class Flat:
    """An event type whose fields the extension knows; the tag is none of them."""

    event_type: EventType
    fields: tuple[Field, ...]
    tag: str
    tag_text: str
    checks: tuple[Check, ...]

    @property
    def times(self) -> list[Field]:
        """The timestamps, in order."""
        return [field for field in self.fields if field.kind == "timestamp"]


class NativeDecoder:
    """Decodes batches by the extension; `on_failure` is called when it failed on a batch."""

    def __init__(
        self,
        flat: Sequence[Flat],
        rule: TypeRule,
        decoder: FlatDecoder,
        failures: tuple[type[Exception], ...],
        on_failure: Callable[[], None],
    ) -> None:
        self._flat = flat
        self._decoder = decoder
        self._failures = failures
        self._has_failed = False
        self._on_failure = on_failure
        texts = {rule.text(each.event_type.name): at for at, each in enumerate(flat)}
        self._places = None if rule.tag or rule.constant else texts

    @classmethod
    def of(
        cls,
        types: EventTypes,
        rule: TypeRule,
        *,
        wanted: Native,
        max_record_bytes: int,
        documents: bool,
        on_failure: Callable[[], None] = lambda: None,
    ) -> NativeDecoder | None:
        """Return the fast path for these types; None if it is off, absent, or knows none of them.

        Raises:
            UserError: it is required and absent, or does not understand the types.
        """
        module = extension(wanted)
        flat = flat_types(types, rule)
        if module is None or not flat:
            return None
        plan = plan_of(flat, rule, max_record_bytes=max_record_bytes, documents=documents)
        try:
            decoder = module.FlatDecoder(msgspec.json.encode(plan).decode())
        except ValueError as error:
            if wanted == "required":
                raise UserError(
                    f"decode.native: required, but the extension says {error}"
                ) from None
            _log.warning("native decoder: %s, Python decodes", error)
            return None
        return cls(flat, rule, decoder, (module.NativeFailure, *_FAULTS), on_failure)

    def accepted(
        self, raws: Sequence[bytes | None], names: Sequence[str | None] | None, now: int
    ) -> Accepted | None:
        """Return what it accepts of a batch, None if it failed; `now` is in milliseconds."""
        try:
            return self._accepted(raws, names, now)
        except self._failures as error:
            if not self._has_failed:
                # Only the exception's type: its message could hold a value of a record.
                _log.warning("native decoder: %s, Python decodes the batch", type(error).__name__)
            self._has_failed = True
            self._on_failure()
            return None

    def _accepted(
        self, raws: Sequence[bytes | None], names: Sequence[str | None] | None, now: int
    ) -> Accepted:
        bounds = [[time_range(field, now) for field in each.times] for each in self._flat]
        given = raws.tolist() if isinstance(raws, np.ndarray) else list(raws)
        parts, rest = self._decoder.decode(given, bounds, self._types(names, len(raws)))
        rests = [rest.to_numpy()]
        found = []
        for at, rows, columns, documents in parts:
            part, refused = self._part(self._flat[at], rows, columns, documents)
            if len(part.table.rows):
                found.append(part)
            if len(refused):
                rests.append(refused)
        return Accepted(found, rests[0] if len(rests) == 1 else np.sort(np.concatenate(rests)))

    def _types(self, names: Sequence[str | None] | None, rows: int) -> list[int] | None:
        if self._places is None:
            return None
        places = self._places
        return [places.get(name or "", -1) for name in names] if names is not None else [-1] * rows

    def _part(
        self, flat: Flat, rows: pa.Array, columns: Sequence[pa.Array], documents: pa.Array | None
    ) -> tuple[Part, Array]:
        """Return the events that pass the type's further checks, and the rows of all others."""
        by_name = dict(zip((field.name for field in flat.fields), columns, strict=True))
        refused = np.zeros(len(rows), np.bool_)
        for check in flat.checks:
            check(by_name, refused)
        handed_on: Array = rows.to_numpy()[refused]
        if len(handed_on):
            keep = pa.array(~refused)
            rows = rows.filter(keep)
            by_name = {name: column.filter(keep) for name, column in by_name.items()}
            documents = documents.filter(keep) if documents is not None else None
        if flat.tag:
            by_name[flat.tag] = pa.repeat(pa.scalar(flat.tag_text, pa.string()), len(rows))
        ordered = {f.name: by_name[f.name] for f in flat.event_type.fields}
        made = None if documents is None else documents.to_numpy(zero_copy_only=False)
        return Part(flat.event_type, Table(rows.to_numpy(), ordered), made), handed_on


def extension(wanted: Native) -> Any | None:
    """Return the extension's module; None if it is off, or cannot be used.

    Raises:
        UserError: it is required, and cannot be used.
    """
    if wanted == "off":
        return None
    module, problem = _imported()
    if problem and wanted == "required":
        raise UserError(
            f"decode.native: required, but the native extension cannot be used: {problem}; build"
            " it with `make setup`, for which cargo (Rust) must be on PATH, or set"
            " decode.native: auto"
        )
    return None if problem else module


def _imported() -> tuple[Any, str]:
    """Return the module, and why it cannot be used, else an empty text."""
    try:
        module = importlib.import_module(MODULE)
    except ImportError as error:
        return None, str(error)
    version = getattr(module, "__version__", "none")
    if version != __version__:
        return None, f"its version is {version}, and the application's {__version__}"
    return module, ""


def described(types: EventTypes, rule: TypeRule, wanted: Native) -> str:
    """Return in one line which decoder decodes what.

    Raises:
        UserError: the extension is required, and cannot be used.
    """
    if wanted == "off":
        return "decode: Python (decode.native: off)"
    module = extension(wanted)
    if module is None:
        return f"decode: Python, which is slower than the native extension: {_imported()[1]}"
    names = [each.event_type.name for each in flat_types(types, rule)]
    others = [name for name in types.names if name not in names]
    if not names:
        return "decode: Python, as the native extension knows the form of no event type"
    apart = f"; Python for {', '.join(others)}" if others else ""
    version = module.__version__
    return f"decode: native {version} for {', '.join(names)}, Python for what it hands on{apart}"


def flat_types(types: EventTypes, rule: TypeRule) -> list[Flat]:
    """Return the event types that the extension knows, with what tells them from the others."""
    if rule.path and not rule.tag:
        return []  # The field that tells the type is nested.
    chosen = [each for each in types if rule.constant in ("", each.name)]
    found = (_flat(event_type, rule) for event_type in chosen)
    return [each for each in found if each]


def _flat(event_type: EventType, rule: TypeRule) -> Flat | None:
    text = rule.text(event_type.name)
    fields = tuple(field for field in event_type.fields if field.name != rule.tag)
    has_tag = len(fields) < len(event_type.fields)
    if not all(map(_is_known, fields)) or not text.isprintable() or {'"', "\\"} & set(text):
        return None
    checks = checks_of(event_type, fields, rule.tag, text)
    if checks is None:
        return None
    return Flat(event_type, fields, rule.tag if has_tag else "", text, checks)


def _is_known(field: Field) -> bool:
    if field.kind not in PLAIN or not field.name.isascii():
        return False
    if field.kind == "timestamp":
        known = field.wire == "iso-8601" or field.wire in EPOCH_FRACTIONS
        return known and field.default is None
    if field.kind == "double":
        return all(map(_is_exact, (field.minimum, field.maximum, field.default)))
    return True


def _is_exact(number: Any) -> bool:
    """Return whether a number is the same as a double."""
    return number is None or isinstance(number, float) or abs(number) <= EXACT_IN_DOUBLE


def plan_of(
    flat: Sequence[Flat], rule: TypeRule, *, max_record_bytes: int, documents: bool
) -> dict[str, Any]:
    """Return what the extension must know of the types."""
    return {
        "max_record_bytes": max_record_bytes,
        "tag": rule.tag,
        "documents": documents,
        "types": [
            {
                "text": each.tag_text,
                "fields": [_planned(each.event_type, field) for field in each.fields],
            }
            for each in flat
        ],
    }


def _planned(event_type: EventType, field: Field) -> dict[str, Any]:
    planned: dict[str, Any] = {
        "name": field.name,
        "kind": field.kind,
        "nullable": field.nullable,
        "optional": field.optional,
        "default": field.default,
    }
    if field.kind == "timestamp":
        factor = 0 if field.wire == "iso-8601" else wire_factor(field)
        return planned | {"unit": field.unit, "factor": factor}
    if field.kind in ("int32", "int64"):
        return planned | {"minimum": field.minimum, "maximum": field.maximum}
    if field.kind == "double":
        least, most = field.minimum, field.maximum
        return planned | {"minimum": float(least or 0), "maximum": float(most or 0)}
    if field.kind == "string":
        least = 1 if event_type.id == (field.name,) else 0
        enum = {"enum": list(field.enum)} if field.enum else {}
        return planned | {"max_length": field.max_length, "min_length": least, **enum}
    return planned

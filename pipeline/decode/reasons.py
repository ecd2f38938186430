"""THE table of the reason codes that dead letters carry: each means one thing and never changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a record was rejected: the step that rejected it, what that means, what to do."""

    code: str
    step: str
    meaning: str
    action: str


_SENDER: Final = "Mend the sender; the original bytes can be corrected and sent again."
_LATER: Final = "Redrive once the cause is gone."

_TABLE: Final = (
    Reason("empty_payload", "decode", "No bytes (a Kafka tombstone) or only white space.", _SENDER),
    Reason("record_too_large", "decode", "More bytes than `max_record_bytes`.",
           "Raise the limit and redrive, or mend the sender."),
    Reason("kpl_aggregated", "decode",
           "A KPL-aggregated Kinesis record that could not be taken apart.",
           "Send it without aggregation, or mend the sender's KPL."),
    Reason("invalid_utf8", "decode",
           "The bytes aren't UTF-8, or an escape stands for half a surrogate pair.", _SENDER),
    Reason("truncated_json", "decode", "The JSON text ends too early.", _SENDER),
    Reason("invalid_json", "decode", "The text breaks JSON's grammar (RFC 8259).", _SENDER),
    Reason("not_an_object", "decode", "JSON, but not an object at the top.", _SENDER),
    Reason("nested_too_deep", "decode", "Arrays or objects nested more than 32 deep.", _SENDER),
    Reason("duplicate_key", "decode", "An object has a key twice; which one holds is unclear.",
           _SENDER),
    Reason("missing_field", "decode", "A required field isn't there.", _SENDER),
    Reason("unknown_field", "decode", "A field that the schema doesn't have.",
           "Add it to the schema, or keep unknown fields by configuration, and redrive."),
    Reason("unknown_event_type", "decode", "`type` names no event type.",
           "Add a schema file for the type and redrive, or mend the sender."),
    Reason("wrong_type", "decode", "A value of another JSON type; nothing is coerced.", _SENDER),
    Reason("out_of_range", "decode",
           "A value outside the schema's range, length, pattern or list.",
           "Mend the sender, or widen the schema and redrive."),
    Reason("integer_overflow", "decode", "An integer that 64 bits can't hold.", _SENDER),
    Reason("not_finite", "decode", "NaN, Infinity, or a number beyond a double, such as 1e400.",
           _SENDER),
    Reason("invalid_timestamp", "decode",
           "Not ISO-8601 with date, time and offset, or no such instant.", _SENDER),
    Reason("timestamp_precision", "decode", "Finer than a millisecond: it would be rounded.",
           _SENDER),
    Reason("timestamp_out_of_range", "decode", "Before 2009, or over a day ahead of the clock.",
           "Mend the sender's clock or data."),
    Reason("control_character", "decode", "Text with a control character (U+0000-1F, U+007F-9F).",
           _SENDER),
    Reason("internal_error", "decode", "A fault of ours met while decoding the record.",
           "Report it with the record's position; redrive after the mend."),
    Reason("index_rejected", "index", "OpenSearch refused the document for good.",
           "Compare document and mapping; mend, then redrive."),
    Reason("index_missing", "index", "The index isn't there and must not be made by itself.",
           "Create the index (the job does so at its start), then redrive."),
    Reason("index_unavailable", "index", "OpenSearch stayed away beyond all retries.", _LATER),
    Reason("document_id_too_long", "index", "An id of more than 512 bytes.", _SENDER),
    Reason("document_too_large", "index", "A document larger than a bulk request may be.",
           "Raise the limit on both sides and redrive, or mend the sender."),
    Reason("replica_too_large", "replicate", "The event is larger than the replica's target takes.",
           "Raise the limit on both sides and redrive, or leave such events out by the replica's"
           " filter."),
)  # fmt: skip

REASONS: Final[Mapping[str, Reason]] = MappingProxyType({each.code: each for each in _TABLE})
"""Code -> reason, in the order of the documentation."""

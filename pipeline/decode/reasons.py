"""The table of reason codes of dead letters. A code has one meaning and never changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a step rejects a record, what that means, and what to do."""

    code: str
    step: str
    meaning: str
    action: str


_SENDER: Final = "Fix the sender; the original bytes can be corrected and sent again."
_LATER: Final = "Redrive when the cause is fixed."

_TABLE: Final = (
    Reason("empty_payload", "decode", "Empty (such as a Kafka tombstone), or only white space.",
           _SENDER),
    Reason("record_too_large", "decode", "Larger than `max_record_bytes`.",
           "Raise the limit and redrive, or fix the sender."),
    Reason("kpl_aggregated", "decode",
           "A KPL-aggregated Kinesis record that cannot be de-aggregated.",
           "Send it without aggregation, or fix the sender's KPL."),
    Reason("invalid_utf8", "decode", "Not UTF-8, or an escape is an unpaired surrogate.", _SENDER),
    Reason("truncated_json", "decode", "The JSON text is incomplete.", _SENDER),
    Reason("invalid_json", "decode", "Not valid JSON (RFC 8259).", _SENDER),
    Reason("not_an_object", "decode", "Valid JSON, but not an object.", _SENDER),
    Reason("nested_too_deep", "decode", "Arrays or objects are nested more than 32 levels deep.",
           _SENDER),
    Reason("duplicate_key", "decode",
           "An object has the same key twice, so its value is ambiguous.", _SENDER),
    Reason("missing_field", "decode", "A required field is missing.", _SENDER),
    Reason("unknown_field", "decode", "A field is not in the schema.",
           "Add it to the schema, or set decode.unknown_fields to keep, and redrive."),
    Reason("unknown_event_type", "decode",
           "What tells the event's type (`type`, or as `source` says) names no known one.",
           "Add a schema file for the type and redrive, or fix the sender."),
    Reason("wrong_type", "decode", "A value has the wrong JSON type. Values are never converted.",
           _SENDER),
    Reason("out_of_range", "decode",
           "A value is outside the range, length, pattern or list of the schema, or a number is so"
           " small that it would become 0.",
           "Fix the sender, or widen the schema and redrive."),
    Reason("integer_overflow", "decode", "An integer does not fit into 64 bits.", _SENDER),
    Reason("not_finite", "decode",
           "NaN, Infinity, or a number too large for a double, such as 1e400.", _SENDER),
    Reason("invalid_base64", "decode", "Not base64 with padding (RFC 4648).", _SENDER),
    Reason("invalid_timestamp", "decode",
           "Not ISO-8601 as its type has it (an instant with date, time and offset), or not real.",
           _SENDER),
    Reason("timestamp_precision", "decode",
           "More precise than its type, such as a millisecond, so it would be rounded.", _SENDER),
    Reason("timestamp_out_of_range", "decode",
           "Outside of the schema's `minimum` and `maximum`; by default before 2009, or more than a"
           " day in the future.",
           "Fix the sender's clock or data, or widen the schema and redrive."),
    Reason("control_character", "decode",
           "A string has a control character (U+0000-1F, U+007F-9F).", _SENDER),
    Reason("invalid_partition", "decode",
           "A text cannot name a partition of the lake: empty, too long for a folder, or Hive's"
           " name of null.",
           "Fix the sender. For a new event type, partition free text by `bucket`."),
    Reason("too_many_partitions", "decode",
           "The lake already had `lake.max_partitions` open partitions, and this is a further one.",
           "Raise the limit and redrive. For a new event type, partition by fewer values."),
    Reason("avro_magic", "decode",
           "Not Avro in Confluent's framing: the first byte is not 0, or there are fewer than 5.",
           "Fix the sender, or take the topic or stream out of `source.avro`."),
    Reason("avro_unknown_schema", "decode",
           "The schema registry has no usable Avro schema of the record's schema id.",
           "Register the schema and redrive, or fix the sender."),
    Reason("avro_undecodable", "decode",
           "Not a record of the schema that it names, or a value that its field cannot take.",
           "Fix the sender's schema or data; with another schema here, redrive."),
    Reason("internal_error", "decode", "A bug in this application prevented decoding.",
           "Report it with the record's position. Redrive after the fix."),
    Reason("index_rejected", "index", "OpenSearch rejected the document permanently.",
           "Compare the document with the mapping, fix the cause, then redrive."),
    Reason("index_missing", "index", "The index does not exist, and OpenSearch must not create it.",
           "Create the index (the job does so when it starts), then redrive."),
    Reason("index_unavailable", "index",
           "OpenSearch was unavailable for longer than the retries last.", _LATER),
    Reason("document_id_too_long", "index", "The document id is longer than 512 bytes.", _SENDER),
    Reason("document_too_large", "index", "The document is larger than a bulk request may be.",
           "Raise the limit on both sides and redrive, or fix the sender."),
    Reason("replica_too_large", "replicate",
           "The event is larger than the replica's target accepts.",
           "Raise the limit on both sides and redrive, or exclude such events with the replica's"
           " filter."),
)  # fmt: skip

REASONS: Final[Mapping[str, Reason]] = MappingProxyType({reason.code: reason for reason in _TABLE})
"""Reasons by code, in the order of the documentation."""

STEPS: Final = tuple(dict.fromkeys(reason.step for reason in REASONS.values()))
"""The steps that reject records, in the order of the flow."""

"""The keys of `source` that say how a record tells its event type, and checks of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from connectors.kinesis.table import stream_of
from connectors.text_files import cut
from pipeline.config.model import Config, Source
from pipeline.events.limits import broken_limit
from pipeline.events.model import ControlType, EventType, EventTypes, Field

DEFAULT_FIELD: Final = "type"
_SEPARATOR: Final = "="
_KEYS: Final = ("event_type", "event_type_header", "event_type_by_topic")


def pairs(entries: tuple[str, ...]) -> dict[str, str]:
    """Return the entries `left=right` as a dictionary."""
    parts = (entry.rpartition(_SEPARATOR) for entry in entries)
    return {left: right for left, _, right in parts}


def field_of_type(source: Source) -> str:
    """Return the path of the field that tells the type; empty if something else does."""
    others = any(getattr(source, key) for key in _KEYS)
    return "" if others else source.event_type_field


def problems(config: Config) -> Iterator[str]:
    """Yield one message for each contradiction among the keys."""
    source = config.source
    used = [key for key in _KEYS if getattr(source, key)]
    if source.event_type_field != DEFAULT_FIELD:
        used.append("event_type_field")
    if len(used) > 1:
        yield f"source has {' and '.join(used)}; set only one of them."
    if source.event_type_header and source.kinesis_streams:
        yield (
            "source.event_type_header is set, but records of Kinesis have no headers; use"
            " event_type_field or event_type_by_topic."
        )
    if source.event_type_values and (source.event_type or source.event_type_by_topic):
        yield "source.event_type_values is for event_type_field and event_type_header only."
    for key in ("event_type_by_topic", "event_type_values"):
        yield from _twice(key, getattr(source, key))
    if source.event_type_by_topic:
        yield from _topics(config)


def _twice(key: str, entries: tuple[str, ...]) -> Iterator[str]:
    lefts = [entry.rpartition(_SEPARATOR)[0] for entry in entries]
    for left in {left: None for left in lefts if lefts.count(left) > 1}:
        yield f"source.{key} has {cut(left)} twice; list it once."
    rights = [entry.rpartition(_SEPARATOR)[2] for entry in entries]
    if key == "event_type_values":
        for right in {right: None for right in rights if rights.count(right) > 1}:
            yield f"source.{key} has two values for {right}; a type has one."


def _topics(config: Config) -> Iterator[str]:
    source = config.source
    streams = [stream_of(stream, config.kinesis).name for stream in source.kinesis_streams]
    read, told = [*source.kafka_topics, *streams], pairs(source.event_type_by_topic)
    if source.archived_from:
        return  # Archived records keep the names of the topics that they came from.
    for name in (name for name in read if name not in told):
        yield f"source.event_type_by_topic lacks {name}, which is read; add {name}=TYPE."
    for name in (name for name in told if name not in read):
        yield f"source.event_type_by_topic has {cut(name)}, which is not read: {', '.join(read)}."


def type_problems(config: Config, types: EventTypes) -> Iterator[str]:
    """Yield one message for each schema that the settings do not fit, and each unknown type."""
    source = config.source
    named = [(key, source.event_type) for key in ("event_type",) if source.event_type]
    for key in ("event_type_by_topic", "event_type_values"):
        named += [(key, name) for name in pairs(getattr(source, key)).values()]
    control = [each.name for each in types.control]
    for key, name in named:
        known = [*types.names, *(control if key != "event_type" else ())]
        if name not in known:
            yield f"source.{key} has {name}; decode.schemas has {', '.join(known)}."
    texts = {name: text for text, name in pairs(source.event_type_values).items()}
    said = [texts.get(name, name) for name in (*types.names, *control)]
    for text in {text: None for text in said if said.count(text) > 1}:
        yield f"source.event_type_values has {cut(text)}, which is also the name of another type."
    if path := field_of_type(source):
        for each in (*types, *types.control):
            yield from _field_problem(path, each, texts.get(each.name, each.name))
    yield from _identity_problems(config, types)


def _field_problem(path: str, declared: EventType | ControlType, text: str) -> Iterator[str]:
    fields, found = declared.fields, None
    for name in path.split("."):
        found = next((field for field in fields if field.name == name), None)
        fields = found.children if found and found.kind == "record" and not found.nullable else ()
    if found is None or not _tells(found):
        yield (
            f"source.event_type_field is {path}, but the schema {declared.name} has no such field"
            " that is a required string. Add it, or say otherwise how records tell their type:"
            f" event_type: {declared.name} if all are of it, event_type_by_topic or"
            " event_type_header."
        )
    elif limit := broken_limit(found, text):
        yield (
            f"the schema {declared.name} has the field {path} with {limit}, but records of it have"
            f" {cut(text)} there; event_type_values says what records have in place of the name."
        )


def _tells(field: Field) -> bool:
    return field.kind == "string" and not field.nullable and not field.optional


def _identity_problems(config: Config, types: EventTypes) -> Iterator[str]:
    if not config.index:
        return
    source = config.source
    streams = source.kinesis_streams or "kinesis" in source.archived_from
    for each in types:
        if not each.id and streams:
            yield (
                f"the schema {each.name} has no id, and the position of a Kinesis record is none:"
                " records that a producer aggregated share it. Give the schema an id, or leave the"
                " index out."
            )
        both = streams and (source.kafka_topics or "kafka" in source.archived_from)
        if not each.version_time and both and not source.archived_from:
            yield (
                f"the schema {each.name} has no versionTime, and the order of arrival is none"
                " between Kafka and Kinesis. Give the schema a versionTime, or read one of them."
            )

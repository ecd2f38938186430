"""conf/reference.yaml: every key of the model, written from it and kept equal by a test."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Any, get_args, get_origin, get_type_hints

import msgspec
import yaml

from connectors.options import Section
from pipeline.config.load import sections

_REQUIRED = {
    "kafka.bootstrap_servers": "127.0.0.1:9092",
    "clusters.other.bootstrap_servers": "127.0.0.1:9192",
    "lake.path": "s3a://streaming-etl/lake",
    "index.url": "http://127.0.0.1:9200",
}
# Of several keys one must be given; the reference shows these.
_EXAMPLE = {
    "source.kafka_topics": ["trips"],
    "archive.path": "s3a://streaming-etl/archive",
    "dead_letters.kafka_topic": "trips.dead-letters",
    "dead_letters.large_path": "s3a://streaming-etl/large",
    "replicate.airport.kafka_topic": "trips.airport",
    "replicate.airport.filter": "pickup_location_id IN (1, 132, 138)",
}
# Entries are named by the user; the reference shows one of each.
_ENTRIES = {"clusters": "other", "replicate": "airport"}
_HEAD = """\
# Every key, its default and its meaning. Written by `streaming-etl config reference`; a test keeps
# it equal to the model in pipeline/config/model.py. A key without a default is marked (required).
# A value may hold ${env:NAME}, ${env:NAME:-default} or ${file:/path}; secrets always should.
# A section that is left out leaves that sink out of the job.
"""


def config_reference() -> str:
    """The text of conf/reference.yaml."""
    return _HEAD + "".join(_section(name, section) for name, section in sections().items())


def _entry_note(name: str) -> list[str]:
    """What is said of a section that holds entries."""
    if name not in _ENTRIES:
        return []
    return [
        "# Any number of entries, each under a name of its own; as a property group",
        f"# {name}.{_ENTRIES[name]}.",
    ]


def _section(name: str, section: type[Section]) -> str:
    entry = _ENTRIES.get(name)
    head = [f"\n# {(section.__doc__ or '').splitlines()[0]}", *_entry_note(name), f"{name}:"]
    path, indent = (f"{name}.{entry}", "  ") if entry else (name, "")
    hints = get_type_hints(section, include_extras=True)
    keys = [
        f"{indent}{line}"
        for field in sorted(msgspec.structs.fields(section), key=_place)
        for line in _key(f"{path}.{field.name}", field, hints[field.name])
    ]
    return "\n".join([*head, *([f"  {entry}:"] if entry else []), *keys]) + "\n"


def _place(field: msgspec.structs.FieldInfo) -> bool:
    """A section's own path goes before the keys that it inherits."""
    return field.name != "path"


def _key(path: str, field: msgspec.structs.FieldInfo, hint: Any) -> Iterator[str]:
    required = field.default is msgspec.NODEFAULT
    text = description(hint) + _choices(hint) + (" (required)" if required else "")
    for line in textwrap.wrap(text, 94):
        yield f"  # {line}"
    value = _REQUIRED[path] if required else _EXAMPLE.get(path, field.default)
    text = yaml.safe_dump(value, default_flow_style=True, width=1000)
    yield f"  {field.name}: {text.splitlines()[0]}"


def description(hint: Any) -> str:
    """The meaning of a key, from its annotation."""
    for extra in getattr(hint, "__metadata__", ()):
        if isinstance(extra, msgspec.Meta) and extra.description:
            return extra.description
    return ""


def _choices(hint: Any) -> str:
    inner = hint.__origin__ if hasattr(hint, "__metadata__") else hint
    if str(get_origin(inner)) == "typing.Literal":
        return f" One of: {', '.join(map(str, get_args(inner)))}."
    return ""

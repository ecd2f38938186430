"""Makes the indices before the job starts: one strict template and one index per event type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opensearchpy import OpenSearch
from opensearchpy.exceptions import TransportError

from connectors.opensearch import IndexSettings, explain, index_name
from pipeline.errors import UserError

_PRIORITY = 500  # above templates that an administrator made for everything


def ensure_templates(
    client: OpenSearch, mappings: Mapping[str, Mapping[str, Any]], settings: IndexSettings
) -> None:
    """Puts the template of each event type and makes its index if there is none.

    `mappings` is event type -> mapping (`properties`); `dynamic: strict` is added, so that an
    event can never change a mapping. UserError if the server is away, refuses, or holds an index
    whose fields differ.
    """
    for event_type, mapping in mappings.items():
        name = index_name(settings.prefix, event_type)
        strict = {**mapping, "dynamic": "strict"}
        try:
            _ensure(client, name, strict, settings)
        except TransportError as error:
            raise UserError(
                f"index {name} at {settings.url}: {explain(error)}. Is index.url right, is "
                "OpenSearch up, and may this user make templates and indices?"
            ) from error


def _ensure(
    client: OpenSearch, name: str, mapping: dict[str, Any], settings: IndexSettings
) -> None:
    template = {"settings": _index_settings(settings), "mappings": mapping}
    client.indices.put_index_template(
        name=name,
        body={"index_patterns": [name], "priority": _PRIORITY, "template": template},
    )
    try:
        client.indices.create(index=name)
    except TransportError as error:
        if error.error != "resource_already_exists_exception":
            raise
        _compare(client, name, mapping)


def _index_settings(settings: IndexSettings) -> dict[str, Any]:
    """`coerce` off, or 1.5 would be taken for an integer."""
    made = {"index.refresh_interval": settings.refresh_interval, "index.mapping.coerce": False}
    if settings.service == "aoss":
        return made
    shards = {"index.number_of_shards": settings.shards}
    return {**made, **shards, "index.number_of_replicas": settings.replicas}


def _compare(client: OpenSearch, name: str, wanted: dict[str, Any]) -> None:
    """UserError naming each field whose definition in the existing index is another."""
    existing = client.indices.get_mapping(index=name)
    (found,) = [entry["mappings"] for entry in existing.values()]
    differences = mapping_differences(found, wanted)
    if differences:
        raise UserError(
            f"index {name} exists with another mapping: {'; '.join(differences)}. "
            "Reindex it, delete it, or choose another index.prefix"
        )


def mapping_differences(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """One text per field that is not the same in both, with both definitions; [] when equal."""
    here, there = _fields(found), _fields(wanted)
    differences = [
        f"{path} is {here.get(path, 'absent')}, must be {there.get(path, 'absent')}"
        for path in sorted(here.keys() | there.keys())
        if here.get(path) != there.get(path)
    ]
    if str(found.get("dynamic", "true")) != str(wanted.get("dynamic", "true")):
        differences.append(f"dynamic is {found.get('dynamic', 'true')}, must be strict")
    return differences


def _fields(mapping: Mapping[str, Any], prefix: str = "") -> dict[str, dict[str, str]]:
    """Dotted path -> definition; values as text, since the server answers `"false"` or `false`."""
    fields: dict[str, dict[str, str]] = {}
    for name, definition in mapping.get("properties", {}).items():
        path = prefix + name
        if "properties" in definition:
            fields.update(_fields(definition, path + "."))
        else:
            fields[path] = {key: str(value).lower() for key, value in definition.items()}
    return fields

"""Makes the indices, and gives them new fields: one strict template and one index per event type.

The job does so at its start. When OpenSearch is away then, each index worker does it before its
first request, so that OpenSearch never makes an index by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from opensearchpy import OpenSearch
from opensearchpy.exceptions import ConnectionError as NoConnection
from opensearchpy.exceptions import NotFoundError, SSLError, TransportError

from connectors.errors import UserError
from connectors.opensearch.bulk import Answer, Send, Unreachable
from connectors.opensearch.client import bulk_sender, client, explain
from connectors.opensearch.options import Index, index_name

_PRIORITY = 500  # above templates that an administrator made for everything


class IndexAway(UserError):
    """OpenSearch did not answer, or said that it cannot work now: it may be back by itself."""


def ensure_templates(
    client: OpenSearch, mappings: Mapping[str, Mapping[str, Any]], settings: Index
) -> None:
    """Puts the template of each event type, makes its index, gives it the fields that it lacks.

    `mappings` is event type -> mapping (`properties`); `dynamic: strict` is added, so that an
    event can never change a mapping.

    Raises:
        IndexAway: the server is away.
        UserError: it refuses, or an index has another definition of a field.
    """
    for event_type, mapping in mappings.items():
        name = index_name(settings.prefix, event_type)
        with _told(name, settings):
            _ensure(client, name, {**mapping, "dynamic": "strict"}, settings)


def careful_sender(settings: Index, mappings: Mapping[str, Mapping[str, Any]]) -> Send:
    """A `bulk_sender` that sends nothing until the indices are as `ensure_templates` makes them.

    Until then each call is Unreachable, with what stands in the way. Indices that are as they must
    be are only read, since there may be many workers. For one thread.
    """
    send, opensearch, ready = bulk_sender(settings), client(settings), False

    def send_when_ready(body: bytes) -> Answer:
        nonlocal ready
        if not ready:
            try:
                _make_ready(opensearch, mappings, settings)
            except UserError as error:
                raise Unreachable(str(error)) from None
            ready = True
        return send(body)

    return send_when_ready


def _make_ready(
    client: OpenSearch, mappings: Mapping[str, Mapping[str, Any]], settings: Index
) -> None:
    for event_type, mapping in mappings.items():
        name = index_name(settings.prefix, event_type)
        strict = {**mapping, "dynamic": "strict"}
        with _told(name, settings):
            found = _mapping(client, name)
            if found is None or _new_fields(name, found, strict):
                _ensure(client, name, strict, settings)


@contextmanager
def _told(name: str, settings: Index) -> Iterator[None]:
    """What the server or the network said of that index, as an error for the user."""
    try:
        yield
    except TransportError as error:
        refused = IndexAway if _is_away(error) else UserError
        raise refused(
            f"index {name} at {settings.url}: {explain(error)}. Is index.url right, is "
            "OpenSearch up, and may this user make templates and indices?"
        ) from error


def _is_away(error: TransportError) -> bool:
    """No answer, too many requests or a fault of the server's; not a certificate we don't trust."""
    if isinstance(error, NoConnection):
        return not isinstance(error, SSLError)
    return int(error.status_code) == 429 or int(error.status_code) >= 500


def _ensure(client: OpenSearch, name: str, mapping: dict[str, Any], settings: Index) -> None:
    found = _mapping(client, name)
    new = {} if found is None else _new_fields(name, found, mapping)
    template = {"settings": _index_settings(settings), "mappings": mapping}
    client.indices.put_index_template(
        name=name,
        body={"index_patterns": [name], "priority": _PRIORITY, "template": template},
    )
    if new:
        client.indices.put_mapping(index=name, body={"properties": new})
    if found is not None:
        return
    try:
        client.indices.create(index=name)
    except TransportError as error:
        if error.error != "resource_already_exists_exception":
            raise  # else another start or worker was faster, and made it from the same schemas


def _index_settings(settings: Index) -> dict[str, Any]:
    """`coerce` off, or 1.5 would be taken for an integer."""
    made = {"index.refresh_interval": settings.refresh_interval, "index.mapping.coerce": False}
    if settings.service == "aoss":
        return made
    shards = {"index.number_of_shards": settings.shards}
    return {**made, **shards, "index.number_of_replicas": settings.replicas}


def _mapping(client: OpenSearch, name: str) -> Mapping[str, Any] | None:
    """The mapping of the index; None when there is no such index."""
    try:
        answer = client.indices.get_mapping(index=name)
    except NotFoundError:
        return None
    (found,) = [entry["mappings"] for entry in answer.values()]
    return dict(found)


def _new_fields(name: str, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """The properties to add to the index; UserError naming each field of another definition.

    Fields that only the index has are left: a job that goes back to the schema before must start.
    """
    here, there = found.get("properties", {}), wanted.get("properties", {})
    new = {field: definition for field, definition in there.items() if field not in here}
    kept = {field: definition for field, definition in here.items() if field in there}
    differences = mapping_differences({**found, "properties": {**kept, **new}}, wanted)
    if differences:
        raise UserError(
            f"index {name} exists with another mapping: {'; '.join(differences)}. "
            "Reindex it, delete it, or choose another index.prefix"
        )
    return new


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

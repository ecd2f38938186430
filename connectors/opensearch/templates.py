"""Creates indices and adds fields to them: one strict template and one index per event type.

The job does so at its start. If OpenSearch is unreachable then, each index worker does it before
its first request, so that OpenSearch never creates an index automatically.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from fnmatch import fnmatchcase
from typing import Any

from opensearchpy import OpenSearch
from opensearchpy.exceptions import ConnectionError as NoConnection
from opensearchpy.exceptions import NotFoundError, SSLError, TransportError

from connectors.errors import UserError
from connectors.opensearch.bulk import Answer, Document, Send, Unreachable, encode
from connectors.opensearch.client import bulk_sender, explain, worker_client
from connectors.opensearch.options import Index, index_name

_PRIORITY = 500  # above an administrator's templates for all indices
_PROBE = "streaming-etl-probe"
_ALIAS_OPTIONS = {"filter", "index_routing", "search_routing"}


class IndexAway(UserError):
    """OpenSearch did not answer or is overloaded; it may recover without a change."""


def ensure_templates(
    client: OpenSearch,
    mappings: Mapping[str, Mapping[str, Any]],
    settings: Index,
    *,
    only_changes: bool = False,
) -> None:
    """Put each event type's template, create its index if absent, and add missing fields.

    `mappings` is event type -> mapping (`properties`); `dynamic: strict` is added, so that an
    event can never change a mapping. With `only_changes`, an index that is as it must be is only
    read, and a closed one is left to the sender, which retries: others must go on.

    Raises:
        IndexAway: the server is unreachable, or an index is closed.
        UserError: it rejects a request, an index defines a field otherwise, or its name is that of
            something else.
    """
    for event_type, mapping in mappings.items():
        name = index_name(settings.prefix, event_type)
        strict = {**mapping, "dynamic": "strict"}
        with _reported(name, settings):
            index = _existing(client, name)
            new = {} if index is None else _new_fields(name, index["mappings"], strict)
            if index is None:
                _refuse_outranked(client, name)
            elif _is_closed(index) and not only_changes:
                raise IndexAway(f"index {name} at {settings.url} is closed; open it")
            if index is None or new or not only_changes:
                template = {"settings": _index_settings(settings), "mappings": strict}
                body = {"index_patterns": [name], "priority": _PRIORITY, "template": template}
                client.indices.put_index_template(name=name, body=body)
            if new:
                client.indices.put_mapping(index=name, body={"properties": new})
            if index is None:
                _create(client, name)
            if settings.service == "aoss":
                _refuse_without_ids(client, name, settings)


def look_at_index(
    client: OpenSearch, event_type: str, mapping: Mapping[str, Any], settings: Index
) -> bool:
    """Return whether the event type's index exists; change nothing.

    Raises:
        UserError: as `ensure_templates`, which would refuse it.
    """
    name = index_name(settings.prefix, event_type)
    with _reported(name, settings):
        index = _existing(client, name)
        if index is None:
            _refuse_outranked(client, name)
            return False
        _new_fields(name, index["mappings"], {**mapping, "dynamic": "strict"})
        if _is_closed(index):
            raise IndexAway(f"index {name} at {settings.url} is closed; open it")
    return True


def careful_sender(settings: Index, mappings: Mapping[str, Mapping[str, Any]]) -> Send:
    """Return a `bulk_sender` that ensures templates and indices before its first request.

    Each call raises Unreachable, with the reason, until that succeeds. For one thread; there may be
    many workers.
    """
    send, opensearch, ready = bulk_sender(settings), worker_client(settings), False

    def send_when_ready(body: bytes) -> Answer:
        nonlocal ready
        if not ready:
            try:
                ensure_templates(opensearch, mappings, settings, only_changes=True)
            except UserError as error:
                raise Unreachable(str(error)) from None
            ready = True
        return send(body)

    return send_when_ready


@contextmanager
def _reported(name: str, settings: Index) -> Iterator[None]:
    """Raise IndexAway or UserError, with the index's name, instead of the client's exceptions."""
    try:
        yield
    except TransportError as error:
        kind = IndexAway if _is_away(error) else UserError
        raise kind(
            f"index {name} at {settings.url}: {explain(error)}. Is index.url right, is "
            "OpenSearch up, and may this user create templates and indices?"
        ) from error


def _is_away(error: TransportError) -> bool:
    """Return whether the error is transient: no response (other than for TLS), 429 or 5xx."""
    if isinstance(error, NoConnection):
        return not isinstance(error, SSLError)
    return int(error.status_code) == 429 or int(error.status_code) >= 500


def _create(client: OpenSearch, name: str) -> None:
    try:
        client.indices.create(index=name)
    except TransportError as error:
        if error.error != "resource_already_exists_exception":
            raise  # Else another job or worker created it, from the same schemas.


def _refuse_without_ids(client: OpenSearch, name: str, settings: Index) -> None:
    """Raise UserError if the collection refuses ids or versions, as all but type SEARCH do.

    Only an attempt shows it. The document sent has a field that the strict mapping lacks, so that
    no collection stores it.
    """
    document = Document(name, _PROBE, 1, b'{"%b":1}' % _PROBE.encode())
    answer = client.bulk(body=encode(document))
    for item in answer["items"]:
        error = item["index"].get("error", {})
        if error.get("type") == "illegal_argument_exception":
            raise UserError(
                f"index {name} at {settings.url}: {error.get('reason')}. Time-series and vector "
                "search collections of OpenSearch Serverless refuse ids, without which events "
                "would be doubled; give the URL of a collection of type SEARCH"
            )


def _index_settings(settings: Index) -> dict[str, Any]:
    """Return the settings of new indices; without `coerce`, which would accept 1.5 as integer."""
    strict = {"index.mapping.coerce": False}
    if settings.service == "aoss":  # decides the others itself
        return strict
    return strict | {
        "index.refresh_interval": settings.refresh_interval,
        "index.number_of_shards": settings.shards,
        "index.number_of_replicas": settings.replicas,
    }


def _existing(client: OpenSearch, name: str) -> Mapping[str, Any] | None:
    """Return aliases, mappings and settings of the index; None if there is no such index.

    Raises:
        UserError: the name is that of a data stream, or of an alias that is not a mere second name.
    """
    try:
        response = client.indices.get(index=name)
    except NotFoundError:
        return None
    if problem := _misnamed(name, response):
        raise UserError(
            f"{problem}. Reindex into one index, named {name} or with the plain alias {name}, or "
            "choose another index.prefix"
        )
    (index,) = response.values()
    return dict(index)


def _misnamed(name: str, indices: Mapping[str, Mapping[str, Any]]) -> str | None:
    """Return why documents cannot be written through `name` with one document for each id.

    OpenSearch compares ids and versions within one index only.
    """
    names = ", ".join(sorted(indices))
    if any("data_stream" in index for index in indices.values()):
        return f"{name} is a data stream ({names}), which accepts no versions of documents"
    if len(indices) > 1:
        return (
            f"{name} is an alias of several indices ({names}): a new version of an event in one of "
            "them would not replace the document in another, and readers would see both"
        )
    (index,) = indices.values()
    alias = index["aliases"].get(name, {})
    if "is_write_index" in alias:
        return (
            f"the alias {name} of {names} has is_write_index, as aliases have that roll over to a "
            "second index, which would hold a second document of an id"
        )
    if options := sorted(alias.keys() & _ALIAS_OPTIONS):
        return (
            f"the alias {name} of {names} has {', '.join(options)}: readers of the alias would not "
            "see every document"
        )
    return None


def _is_closed(index: Mapping[str, Any]) -> bool:
    return "verified_before_close" in index["settings"]["index"]


def _refuse_outranked(client: OpenSearch, name: str) -> None:
    """Raise UserError if another template would define the index instead of ours."""
    for other in client.indices.get_index_template()["index_templates"]:
        template = other["index_template"]
        matching = [p for p in template["index_patterns"] if fnmatchcase(name, p)]
        if matching and template.get("priority", 0) > _PRIORITY:
            raise UserError(
                f"index {name} cannot be created: the index template {other['name']} (pattern "
                f"{matching[0]}, priority {template['priority']}) has precedence over the one of "
                f"this job (priority {_PRIORITY}). Give it a priority below {_PRIORITY} or a "
                "pattern without this index, or choose another index.prefix"
            )


def _new_fields(name: str, actual: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Return the properties to add to the index.

    Fields that only the index has are kept: a job with the previous schema must still start.

    Raises:
        UserError: the index defines fields otherwise; the message names each.
    """
    existing, required = actual.get("properties", {}), wanted.get("properties", {})
    new, completed = _missing(existing, required), _completed(existing, required)
    differences = mapping_differences({**actual, "properties": completed}, wanted)
    if differences:
        raise UserError(
            f"index {name} exists with another mapping: {'; '.join(differences)}. "
            "Reindex it, delete it, or choose another index.prefix"
        )
    return new


def _missing(existing: Mapping[str, Any], required: Mapping[str, Any]) -> dict[str, Any]:
    """Return what lacks in `existing`; of an object with fields, those that it lacks.

    The definition of such an object is repeated, as OpenSearch takes one without it for another.
    """
    new: dict[str, Any] = {}
    for name, definition in required.items():
        if name not in existing:
            new[name] = definition
        elif below := _missing(_properties(existing[name]), _properties(definition)):
            new[name] = {**definition, "properties": below}
    return new


def _completed(existing: Mapping[str, Any], required: Mapping[str, Any]) -> dict[str, Any]:
    """Return the required fields as the index has them, and those that it lacks."""
    completed: dict[str, Any] = {}
    for name, definition in required.items():
        made = completed[name] = dict(existing.get(name, definition))
        if "properties" in made:
            made["properties"] = _completed(_properties(made), _properties(definition))
    return completed


def _properties(definition: Mapping[str, Any]) -> Mapping[str, Any]:
    properties: Mapping[str, Any] = definition.get("properties", {})
    return properties


def mapping_differences(actual: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """Return a line for each field that differs, with both definitions; [] if equal."""
    existing, required = _fields(actual), _fields(wanted)
    differences = [
        f"{path} is {existing.get(path, 'absent')}, must be {required.get(path, 'absent')}"
        for path in sorted(existing.keys() | required.keys())
        if existing.get(path) != required.get(path)
    ]
    if str(actual.get("dynamic", "true")) != str(wanted.get("dynamic", "true")):
        differences.append(f"dynamic is {actual.get('dynamic', 'true')}, must be strict")
    return differences


def _fields(mapping: Mapping[str, Any], prefix: str = "") -> dict[str, dict[str, str]]:
    """Return dotted path -> definition, with values as strings: servers return "false" or false."""
    fields: dict[str, dict[str, str]] = {}
    for name, definition in mapping.get("properties", {}).items():
        path = prefix + name
        fields[path] = {
            "type": "object",  # which servers leave out
            **{key: _plain(value) for key, value in definition.items() if key != "properties"},
        }
        fields.update(_fields(definition, path + "."))
    return fields


def _plain(value: object) -> str:
    """Return a value as text; a number of any form as a double, as servers return some."""
    text = str(value).lower()
    try:
        return str(float(text))
    except ValueError:
        return text

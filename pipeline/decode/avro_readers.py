"""Readers of whole Avro records: the writer's fields under our names, as our fields have them.

Fields are matched by name, else by an alias of ours, in records within records too; the names of
records, enums and fixed types are not compared. A field of the writer that we lack stays in the
JSON, and one of ours that the writer lacks is absent from it: the JSON decoder judges both.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from connectors.schema_registry.schema import WriterSchema
from pipeline.decode import avro_values
from pipeline.decode.avro_binary import Malformed, Source
from pipeline.decode.avro_values import Read
from pipeline.decode.json_text import shown
from pipeline.events.model import Field


def reader(schema: WriterSchema, fields: tuple[Field, ...] | None) -> Read:
    """Return the reader of a schema's records for an event type's fields; None: there is none."""
    event = Field("", "record", children=fields) if fields is not None else None
    return _Readers(schema.named).of(schema.schema, event, "$")


class _Readers:
    """The readers of one schema; `_made` has those of named types, which may contain themselves."""

    def __init__(self, named: Mapping[str, Any]) -> None:
        self._named = named
        self._made: dict[tuple[str, int], Read] = {}

    def of(self, node: Any, field: Field | None, where: str) -> Read:
        """Return the reader of a type for a field of ours, whose path is `where`."""
        if isinstance(node, list):
            return self._union(node, field, where)
        if isinstance(node, str):
            node = self._named.get(node, {"type": node})
        if field and field.kind == "union" and node["type"] != "null":
            branch = avro_values.branch_of(node, field)
            if branch is None:
                return avro_values.refused(
                    self.of(node, None, where), where, str(node["type"]), field
                )
            return self.of(node, branch, where)
        if node["type"] in ("record", "error"):
            return self._named_record(node, field, where)
        if node["type"] in ("array", "map"):
            return self._many(node, field, where)
        return avro_values.reader(node, field, where)

    def _union(self, branches: list[Any], field: Field | None, where: str) -> Read:
        reads = [self.of(branch, field, where) for branch in branches]

        def read(source: Source) -> Any:
            return reads[source.index(len(reads), "branch")](source)

        return read

    def _named_record(self, node: Mapping[str, Any], field: Field | None, where: str) -> Read:
        key = (node["name"], id(field) if field else 0)
        if key in self._made:
            return self._made[key]
        # A record within itself finds this, which finds its reader when it is called.
        self._made[key] = lambda source: self._made[key](source)
        if field and field.kind == "map":
            made = self._record(node, None, where)
            self._made[key] = avro_values.refused(made, where, "a record", field)
        else:
            children = field.children if field and field.kind == "record" else None
            self._made[key] = self._record(node, children, where)
        return self._made[key]

    def _record(
        self, node: Mapping[str, Any], fields: tuple[Field, ...] | None, where: str
    ) -> Read:
        names = [field["name"] for field in node["fields"]]
        ours = matched(names, fields or ())
        members = []
        for each in node["fields"]:
            field = ours.get(each["name"])
            name = field.name if field else each["name"]
            members.append((name, self.of(each["type"], field, f"{where}.{name}")))

        def read(source: Source) -> dict[str, Any]:
            source.enter(len(members))
            values = {name: read_member(source) for name, read_member in members}
            source.leave()
            return values

        return read

    def _many(self, node: Mapping[str, Any], field: Field | None, where: str) -> Read:
        kind = node["type"]
        child = field.children[0] if field and field.kind == kind else None
        if kind == "array":
            return _array(self.of(node["items"], child, f"{where}[]"))
        made = _map(self.of(node["values"], child, f"{where}{{}}"), where)
        if field and field.kind == "record":
            return avro_values.refused(made, where, "a map", field)
        return made


def matched(names: Iterable[str], fields: tuple[Field, ...]) -> dict[str, Field]:
    """Return our field of each of the writer's names: of that name, else with that alias.

    A field is matched once; the writer's other names are unknown.
    """
    found = {field.name: field for field in fields if field.name in names}
    taken = set(found)
    for field in fields:
        if field.name not in taken:
            alias = next((each for each in field.aliases if each in names), None)
            if alias is not None and alias not in found:
                found[alias] = field
    return found


def _array(read_item: Read) -> Read:
    def read(source: Source) -> list[Any]:
        values: list[Any] = []
        append = values.append
        source.enter()
        source.items(lambda each: append(read_item(each)))
        source.leave()
        return values

    return read


def _map(read_value: Read, where: str) -> Read:
    def read(source: Source) -> dict[str, Any]:
        values: dict[str, Any] = {}

        def add(each: Source) -> None:
            key = each.text()
            if key in values:
                detail = f"{where}: saw the key {shown(key)} again; allowed: each key once"
                raise Malformed(detail, "duplicate_key")
            values[key] = read_value(each)

        source.enter()
        source.items(add)
        source.leave()
        return values

    return read

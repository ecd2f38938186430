"""Bring the records of topics and streams that are Avro to JSON, which the decoder judges."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from msgspec.structs import replace as replace_section

from connectors.schema_registry.client import Patience, writer_schemas
from connectors.schema_registry.options import SchemaRegistry
from pipeline.config.model import Config, Decode, Source
from pipeline.decode.avro_records import AvroRecords, NameOf, SchemaOf, named_by
from pipeline.decode.decoder import Control, Event, Reject, decoder_of, wall_clock
from pipeline.decode.fault import Fault
from pipeline.decode.origins import Origins
from pipeline.decode.type_rule import TypeRule
from pipeline.events.model import EventTypes

TOOLS_WAIT: Final = Patience(most=60.0)
"""How long a tool waits for a registry that is away; the job waits for ever."""


class RecordDecoder:
    """Decodes single records as the job does, for tools."""

    def __init__(
        self, config: Config, types: EventTypes, *, now: Callable[[], int] = wall_clock
    ) -> None:
        self.rule = TypeRule.of(config.source)
        # Single records: the native decoder would answer no faster, and need not be installed here.
        settings = replace_section(config.decode, native="off")
        self._decoder = decoder_of(settings, config.source, types, now=now)
        self._avro = AvroInput.of(config.decode, config.source, config.schema_registry, types)

    def decode(self, raw: bytes | None, origins: Origins) -> Event | Control | Reject:
        """Decode one record; its document is always filled.

        Raises:
            UserError: the schema registry is away, or refuses the credentials.
        """
        raws: Sequence[bytes | None] = [raw]
        if self._avro:
            raws, origins = self._avro.read(raws, origins)
        return self._decoder.decode(raws[0], origins)


class AvroInput:
    """Brings records to JSON; records of other topics and streams stay as they are."""

    def __init__(
        self,
        types: EventTypes,
        rule: TypeRule,
        places: frozenset[str],
        schema_of: SchemaOf,
        max_record_bytes: int,
    ) -> None:
        self._places = places
        self._rule = rule
        names = [each.name for each in (*types, *types.control)]
        self._names = {rule.text(name): name for name in names}
        self._records = AvroRecords(
            types, schema_of, name_of=self._teller(), max_record_bytes=max_record_bytes
        )

    @classmethod
    def of(
        cls,
        settings: Decode,
        source: Source,
        registry: SchemaRegistry | None,
        types: EventTypes,
        *,
        patience: Patience = TOOLS_WAIT,
        on_wait: Callable[[], None] = lambda: None,
    ) -> AvroInput | None:
        """Return the input of a configuration; None if nothing of it is Avro.

        Raises:
            UserError: the section `schema_registry` is wrong.
        """
        if not source.avro or registry is None:
            return None
        schemas = writer_schemas(registry, on_wait=on_wait, patience=patience)
        places = frozenset(name.rpartition("/")[2] for name in source.avro)  # ARNs end in names
        return cls(types, TypeRule.of(source), places, schemas, settings.max_record_bytes)

    def read(
        self, raws: Sequence[bytes | None], origins: Origins
    ) -> tuple[Sequence[bytes | None], Origins]:
        """Return the records as JSON, and their origins with the faults of those without any.

        Raises:
            UserError: the registry refuses the credentials, or was away for too long.
        """
        assert origins.places is not None, "whoever reads Avro knows places"
        brought = list(raws)
        faults: dict[int, Fault] = {}
        for row, place in enumerate(origins.places):
            if place not in self._places:
                continue
            told = origins.names[row] if origins.names is not None else None
            made = self.json_of(raws[row], told)
            if isinstance(made, Fault):
                faults[row] = made
                brought[row] = None
            else:
                brought[row] = made
        return brought, replace(origins, faults=faults) if faults else origins

    def json_of(self, raw: bytes | None, told: str | None) -> bytes | Fault:
        """Return a record's JSON, or why there is none; `told` as in `Origins.names`."""
        name = self._rule.constant or (self._names.get(told) if told is not None else None)
        return self._records.json_of(raw, name)

    def _teller(self) -> NameOf | None:
        if not self._rule.field:
            return None
        told = named_by(self._rule.field)

        def name_of(members: Mapping[str, Any]) -> str | None:
            text = told(members)
            return self._names.get(text) if text is not None else None

        return name_of

"""SQL for the JSON of raw records: of their bytes, or of Avro as the job brings it to JSON.

Avro has one reader here, that of the job: `reconcile` is no independent evidence of how it reads a
record's values, only of where they are.
"""

from __future__ import annotations

from typing import Final

from connectors.schema_registry.client import Registry
from connectors.sql import literal
from pipeline.config.model import Config
from pipeline.decode.avro_input import AvroInput
from pipeline.decode.fault import Fault
from pipeline.events.model import EventTypes
from pipeline.ops.reconcile.database import Database

OF_BYTES: Final = "TRY(decode(raw))"
"""The text of `raw`; NULL if it isn't UTF-8."""

_FUNCTION: Final = "avro_json"


class RecordText:
    """SQL for the text of records of a configuration's source."""

    def __init__(self, config: Config, types: EventTypes) -> None:
        """Ask the registry, where there is one, whether it is there.

        Raises:
            UserError: it is not.
        """
        source, registry = config.source, config.schema_registry
        self._avro = AvroInput.of(config.decode, source, registry, types)
        self._places = [name.rpartition("/")[2] for name in source.avro]
        if self._avro and registry and registry.url:
            Registry(registry).check()

    def prepare(self, database: Database) -> None:
        """Register the function that the SQL calls."""
        avro = self._avro
        if avro is None:
            return

        def avro_json(raw: bytes, told: str) -> str:
            made = avro.json_of(raw, told or None)
            return "" if isinstance(made, Fault) else made.decode(errors="replace")

        database.function(_FUNCTION, avro_json)

    def sql(self, told: str) -> str:
        """Return SQL for the text of `raw`, a record of the topic or stream `source`.

        `told` is SQL for what its header or topic says of its type. Of Avro that can't be read, the
        text is NULL.
        """
        if self._avro is None:
            return OF_BYTES
        listed = ", ".join(map(literal, self._places))
        call = f"nullif({_FUNCTION}(raw, coalesce({told}, '')), '')"
        return f"CASE WHEN source IN ({listed}) THEN {call} ELSE {OF_BYTES} END"

"""What decode needs of a batch's records beside their bytes, from what Flink gives of them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from connectors.kafka.headers import OWN_HEADER, unpack
from pipeline.collect.inputs import Inputs
from pipeline.config.model import Source
from pipeline.decode.columns import Array
from pipeline.decode.origins import Origins
from pipeline.decode.records import NO_NUMBER
from pipeline.decode.redriven import Mark
from pipeline.decode.type_rule import TypeRule
from pipeline.events.model import EventTypes


class RecordOrigins:
    """Finds origins, as far as the types and the source's settings ask for them."""

    def __init__(self, source: Source, types: EventTypes) -> None:
        self._rule = TypeRule.of(source)
        # Archived records have their own headers under this prefix.
        self._header = (OWN_HEADER if source.archived_from else "") + self._rule.header
        self._with_places = bool(source.avro)
        self._with_ids = any(not each.id for each in types)
        self._with_versions = any(not each.version_time for each in types)

    def of(self, inputs: Inputs, redriven: Mapping[int, Mark]) -> Origins:
        """Return the origins of a batch.

        Records that were `redriven` for a later step than decode have those of their first time.
        """
        ids = positions(inputs) if self._with_ids else None
        versions = arrivals(inputs) if self._with_versions else None
        for row, mark in redriven.items():
            if ids is not None:
                ids[row] = mark.position
            number = mark.position.rpartition("/")[2]
            if versions is not None and number.isdecimal():
                versions[row] = int(number)
        where = places(inputs) if self._with_places else None
        return Origins(self._names(inputs), ids, versions, where)

    def _names(self, inputs: Inputs) -> list[str | None] | None:
        if self._rule.header:
            return [self._of_headers(packed) for packed in inputs.own_headers]
        if not self._rule.topics:
            return None
        return [self._rule.topics.get(place or "") for place in places(inputs)]

    def _of_headers(self, packed: bytes | None) -> str | None:
        """Return the last value of the header, as Flink's map of headers has it."""
        found = None
        for name, value in unpack(packed) if packed else ():
            if name == self._header:
                found = value
        return None if found is None else found.decode(errors="replace")


def places(inputs: Inputs) -> list[str | None]:
    """Return the topic or stream of each record."""
    found: list[str | None] = [None] * len(inputs)
    for column in ("topic", "stream"):
        for row, place in enumerate(inputs.position.get(column, ())):
            found[row] = place if place is not None else found[row]
    return found


def positions(inputs: Inputs) -> list[str]:
    """Return the records' positions as text: topic/partition/offset, or stream/shard/number."""
    columns = [values.tolist() for values in inputs.position.values()]
    return [
        "/".join(str(part) for part in parts if part is not None and part != NO_NUMBER)
        for parts in zip(*columns, strict=True)
    ]


def arrivals(inputs: Inputs) -> Array:
    """Return numbers in the order of arrival: a partition's offsets, else arrival times."""
    offsets = inputs.position.get("offset")
    if offsets is None:
        return inputs.arrival_ms
    offsets = offsets.astype(np.int64)
    return np.where(offsets == NO_NUMBER, inputs.arrival_ms, offsets)

"""How a record tells its event type: by a field, a header, its topic or stream, or by nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Final

from pipeline.config.event_type_keys import DEFAULT_FIELD, field_of_type, pairs
from pipeline.config.model import Source


@dataclass(frozen=True, slots=True)
class TypeRule:
    """How records tell their type; one of the first four is set.

    `field` is a dotted path in the event. `topics` has what topics and streams say. `texts` has
    what records say in place of a type's name, by name.
    """

    field: str = DEFAULT_FIELD
    header: str = ""
    constant: str = ""
    topics: Mapping[str, str] = dataclass_field(default_factory=dict)
    texts: Mapping[str, str] = dataclass_field(default_factory=dict)

    @classmethod
    def of(cls, source: Source) -> TypeRule:
        """Return the rule that the source's settings say."""
        return cls(
            field=field_of_type(source),
            header=source.event_type_header,
            constant=source.event_type,
            topics=pairs(source.event_type_by_topic),
            texts={name: text for text, name in pairs(source.event_type_values).items()},
        )

    @property
    def path(self) -> tuple[str, ...]:
        """The names that lead to the field; empty if no field tells the type."""
        return tuple(self.field.split(".")) if self.field else ()

    @property
    def tag(self) -> str:
        """The field that tells the type, if it is at the top of the event; else empty."""
        return self.field if len(self.path) == 1 else ""

    @property
    def where(self) -> str:
        """Where a record tells its type, for messages."""
        if self.field:
            return f"$.{self.field}"
        return f"header {self.header}" if self.header else "topic or stream"

    def text(self, name: str) -> str:
        """Return what records of the type say."""
        return self.texts.get(name, name)


BY_TYPE: Final = TypeRule()
"""The field `type` tells the type."""

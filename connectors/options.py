"""Building blocks of configuration: sections of keys, and validated strings and numbers."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

SECRETS: Final = frozenset({"password"})
"""Keys whose values are never printed."""

LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
"""Names of this machine, to which traffic may go without TLS."""


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A section of the configuration. A sink whose section is absent is not part of the job."""

    def __repr__(self) -> str:
        """Mask secrets, so that no traceback or log line shows one."""
        shown = (
            f"{name}={'********' if name in SECRETS else repr(getattr(self, name))}"
            for name in self.__struct_fields__
        )
        return f"{type(self).__name__}({', '.join(shown)})"


def doc(text: str) -> Meta:
    """Describe a key; the text becomes its comment in conf/reference.yaml."""
    return Meta(description=text)


_PATH = r"(s3a|file)://[^\s'*?]+"
_TOPIC = r"[A-Za-z0-9._-]{1,249}"
_STREAM = (
    r"([A-Za-z0-9_.-]{1,128}"
    r"|arn:aws[a-z-]*:kinesis:[a-z0-9-]+:\d{12}:stream/[A-Za-z0-9_.-]{1,128})"
)


def _text(pattern: str) -> Meta:
    return Meta(pattern=f"^{pattern}$")


def _text_or_empty(pattern: str) -> Meta:
    return Meta(pattern=f"^({pattern})?$")


Url = Annotated[str, _text(r"https?://[^/\s]+(/.*)?")]
ObjectPath = Annotated[str, _text(_PATH)]
OptionalPath = Annotated[str, _text_or_empty(_PATH)]
Topic = Annotated[str, _text(_TOPIC)]
OptionalTopic = Annotated[str, _text_or_empty(_TOPIC)]
Stream = Annotated[str, _text(_STREAM)]
OptionalStream = Annotated[str, _text_or_empty(_STREAM)]
Name = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
Seconds = Annotated[float, Meta(gt=0)]
Positive = Annotated[int, Meta(ge=1)]

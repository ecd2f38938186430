"""Building blocks of configuration: sections of keys, and validated strings and numbers."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

SECRETS: Final = frozenset({"password", "redrive_key"})
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


ALLOWED: Final[dict[str, str]] = {}
"""What each pattern of `whole` allows, in words for messages."""


def whole(pattern: str, allowed: str) -> Meta:
    """Require that a pattern matches the whole text; `$` would also match before a line break."""
    pattern = rf"^(?:{pattern})\Z"
    ALLOWED[pattern] = allowed
    return Meta(pattern=pattern)


# Hadoop reads `//`, `.` and `..` as other paths, and `?`, `#`, `*` and `'` not as a part of one;
# DuckDB reads `[` as the beginning of a pattern.
_SEGMENTS = r"(?:/(?!\.{1,2}(?:/|\Z))[^\s\x00-\x1f\x7f'*?#/[\]]+)"
# S3's rules for names; Java reads no host name from others.
_BUCKET = (
    r"(?=[a-z0-9.-]{3,63}(?:/|\Z))(?![a-z0-9.-]*\.\.)(?![\d.]+(?:/|\Z))[a-z0-9][a-z0-9.-]*[a-z0-9]"
)
_PATH = rf"s3a://{_BUCKET}{_SEGMENTS}*/?|file://{_SEGMENTS}+/?"
_TOPIC = r"(?!\.{1,2}\Z)[A-Za-z0-9._-]{1,249}"
_STREAM = (
    r"[A-Za-z0-9_.-]{1,128}"
    r"|arn:aws[a-z-]*:kinesis:[a-z0-9-]+:\d{12}:stream/[A-Za-z0-9_.-]{1,128}"
)
_BROKER = r"(?:[A-Za-z0-9_.-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\]):[0-9]{1,5}"
_LINE = r"[^\x00-\x1f\x7f]"

_PATH_WORDS = (
    "s3a://BUCKET/PREFIX, with a bucket's name by S3's rules, or file:///FOLDER, without spaces,"
    " //, segments . and .., and any of '*?#[]"
)
_TOPIC_WORDS = "a topic's name, up to 249 letters, digits and any of .-_"
_STREAM_WORDS = "a stream's name, up to 128 letters, digits and any of .-_, or its ARN"
_FILE_WORDS = "the path of a local file or folder, without ://"

Url = Annotated[
    str,
    whole(r"https?://[^/\s\x00-\x1f\x7f]+(/[^\s\x00-\x1f\x7f]*)?", "a URL like https://HOST:PORT"),
]
ObjectPath = Annotated[str, whole(_PATH, _PATH_WORDS)]
OptionalPath = Annotated[str, whole(f"(?:{_PATH})?", _PATH_WORDS)]
Topic = Annotated[str, whole(_TOPIC, _TOPIC_WORDS)]
OptionalTopic = Annotated[str, whole(f"(?:{_TOPIC})?", _TOPIC_WORDS)]
Stream = Annotated[str, whole(_STREAM, _STREAM_WORDS)]
OptionalStream = Annotated[str, whole(f"(?:{_STREAM})?", _STREAM_WORDS)]
Brokers = Annotated[
    str, whole(rf" *{_BROKER} *(?:, *{_BROKER} *)*", "HOST:PORT, several separated by commas")
]
OptionalRegion = Annotated[str, whole(r"(?:[a-z0-9]+(?:-[a-z0-9]+)*)?", "a region like us-east-1")]
Name = Annotated[str, whole(r"[a-z][a-z0-9_]{0,31}", "up to 32 of a-z, 0-9 and _, first a letter")]
_FIELD = r"[A-Za-z][A-Za-z0-9]*(?:_[A-Za-z0-9]+)*"
_FIELD_PATH = rf"{_FIELD}(?:\.{_FIELD}){{0,15}}"
FieldPath = Annotated[str, whole(_FIELD_PATH, "a field's name, or a path such as meta.kind")]
_EVENT_TYPE = r"[a-z][a-z0-9_]{0,63}"
_EVENT_TYPE_WORDS = "an event type's name, a-z, 0-9 and _"
OptionalEventType = Annotated[str, whole(f"(?:{_EVENT_TYPE})?", _EVENT_TYPE_WORDS)]
TopicOrStream = Annotated[
    str, whole(f"(?:{_TOPIC}|{_STREAM})", "the name of a topic or stream, or a stream's ARN")
]
TopicType = Annotated[
    str,
    whole(rf"(?:{_TOPIC}|{_STREAM})={_EVENT_TYPE}", "TOPIC=TYPE, such as readings=reading"),
]
ValueType = Annotated[
    str,
    whole(
        rf"[^\x00-\x1f\x7f\"\\,=]{{1,200}}={_EVENT_TYPE}",
        "VALUE=TYPE, such as OrderPlaced=order",
    ),
]
FlinkSetting = Annotated[
    str, whole(r"[a-z][a-z0-9.-]{0,99}\*?", "a setting of Flink, or its beginning and *")
]
Line = Annotated[str, whole(f"{_LINE}{{1,1000}}", "one line of 1 to 1000 characters")]
OptionalLine = Annotated[str, whole(f"{_LINE}{{0,1000}}", "one line of up to 1000 characters")]
LocalPath = Annotated[str, whole(rf"(?!.*://){_LINE}{{1,1000}}", _FILE_WORDS)]
OptionalLocalPath = Annotated[str, whole(rf"(?!.*://){_LINE}{{0,1000}}", _FILE_WORDS)]
Seconds = Annotated[float, Meta(ge=0.001, le=604_800)]
"""A millisecond, Flink's unit, to a week."""
Positive = Annotated[int, Meta(ge=1, le=2**31 - 1)]
"""As an int of Java."""

"""Valid events, examples and hostile strings that the tests of the steps share."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pipeline.decode.decoder import Decoder
from pipeline.decode.reference import Rule
from pipeline.events.event_types import load

SCHEMAS: Final = Path(__file__).parents[2] / "schemas"
TYPES: Final = load(SCHEMAS)
NOW: Final = 1_600_000_000_000
"""The clock of the tests: 2020-09-13T12:26:40Z."""

DECODER: Final = Decoder(TYPES, documents=True, now=lambda: NOW)
RULE: Final = Rule(TYPES, max_record_bytes=1_000_000, unknown_fields="refuse", now=NOW)
KEEPING: Final = Decoder(TYPES, unknown_fields="keep", documents=True, now=lambda: NOW)
KEEPING_RULE: Final = Rule(TYPES, max_record_bytes=1_000_000, unknown_fields="keep", now=NOW)


@dataclass(frozen=True, slots=True)
class Example:
    """One line of an examples file; `expect` is "valid" or a reason code."""

    event_type: str
    why: str
    raw: bytes
    expect: str


def examples(folder: Path = SCHEMAS) -> Iterator[Example]:
    """All example lines beside the schemas of the folder."""
    for path in sorted(folder.glob("*.examples.ndjson")):
        event_type = path.name.removesuffix(".examples.ndjson")
        for line in path.read_text(encoding="utf-8").splitlines():
            content = json.loads(line)
            yield Example(event_type, content["why"], _raw(content), content["expect"])


def _raw(content: dict[str, Any]) -> bytes:
    if "event" in content:
        return json.dumps(content["event"]).encode()
    if "raw" in content:
        return str(content["raw"]).encode()
    return base64.b64decode(content["raw_base64"])


def line(**changes: object) -> bytes:
    """The original's sample line with the changes; a member changed to `...` is left out."""
    event = {**json.loads(VALID["trip"]), **changes}
    kept = {key: value for key, value in event.items() if value is not ...}
    return json.dumps(kept, separators=(",", ":"), ensure_ascii=False).encode()


VALID: Final = {
    name: next(
        example.raw
        for example in examples()
        if (example.event_type, example.expect) == (name, "valid")
    )
    for name in TYPES.names
}
"""The first valid example of each type."""

WATERMARK: Final = b'{"watermark":"2018-01-01T00:24:23.000Z","type":"watermark"}'

NAUGHTY: Final = (
    *("", " ", "undefined", "null", "NULL", "None", "true", "NaN", "-Infinity", "0x0", "1E+02"),
    *("../../../../etc/passwd", "..\\..\\windows", "/", "a/b", "%00", "%2e%2e%2f", "1,000"),
    *("pickup_location=041/year=2018", "${jndi:ldap://127.0.0.1/a}", "$(touch x)", "`id`"),
    *("<script>alert(1)</script>", "' OR 1=1 --", "'; DROP TABLE trips; --", "{{7*7}}"),
    *('"quoted"', "back\\slash", '{"type":"trip"}', "\u00a0", "\u200b", "\u202eright to left"),
    *("\ufeff", "\ufffe", "\u2028", "e\u0301", "\u0130\u0131", "\U0001f695", "\U0010ffff"),
    *(
        "\u7530\u4e2d\u3055\u3093",
        "\u0645\u0631\u062d\u0628\u0627",
        "Z\u0361\u0320",
        "\ufb00",
        "a" * 10_000,
    ),
)
"""Strings that break other people's programs; none has a control character."""

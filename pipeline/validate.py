"""What would become of a sample event, told without a cluster."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

import msgspec

from connectors.opensearch.options import index_name
from pipeline.config.model import Config
from pipeline.decode.decoder import Control, Decoder, Event
from pipeline.decode.partition import Partition
from pipeline.events.event_types import EventTypes


def samples(arguments: Sequence[str], standard_input: TextIO) -> Iterator[bytes]:
    """Each argument is an event, a file of events (one a line), or `-` for standard input."""
    for argument in arguments:
        if argument == "-":
            yield from (line.rstrip("\n").encode() for line in standard_input)
        elif not argument.lstrip().startswith(("{", "[")) and Path(argument).is_file():
            yield from Path(argument).read_bytes().splitlines()
        else:
            yield argument.encode("utf-8", "surrogateescape")


def verdicts(raws: Iterable[bytes], config: Config, types: EventTypes) -> Iterator[dict[str, Any]]:
    """What becomes of each, in order."""
    decoder = Decoder(
        types,
        max_record_bytes=config.decode.max_record_bytes,
        unknown_fields=config.decode.unknown_fields,
    )
    return (_verdict(decoder, raw, config) for raw in raws)


def _verdict(decoder: Decoder, raw: bytes, config: Config) -> dict[str, Any]:
    """The lake object's folder, the index and id; or the reason and its detail."""
    found = decoder.decode(raw)
    if isinstance(found, Event):
        return _placed(found, config)
    if isinstance(found, Control):
        return {"verdict": "control", "watermark": found.watermark}
    return {"verdict": "reject", "step": "decode", "reason": found.reason, "detail": found.detail}


def _placed(event: Event, config: Config) -> dict[str, Any]:
    partition: Partition = event.partition
    placed: dict[str, Any] = {"verdict": "event", "event_type": event.event_type}
    if config.lake:
        placed["lake"] = f"{config.lake.path}/{event.event_type}/{partition.path()}/"
    if config.index:
        placed["index"] = index_name(config.index.prefix, event.event_type)
        placed["id"] = event.document_id
        placed["version"] = event.document_version
        placed["document"] = msgspec.json.decode(event.document or b"null")
    return placed

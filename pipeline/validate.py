"""What the job would do with a sample event, found out without a cluster."""

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
    """Yield the events of each argument: JSON, a file of lines, or `-` for standard input."""
    for argument in arguments:
        if argument == "-":
            yield from (line.rstrip("\n").encode() for line in standard_input)
        elif not argument.lstrip().startswith(("{", "[")) and Path(argument).is_file():
            yield from Path(argument).read_bytes().splitlines()
        else:
            yield argument.encode("utf-8", "surrogateescape")


def verdicts(raws: Iterable[bytes], config: Config, types: EventTypes) -> Iterator[dict[str, Any]]:
    """Yield what the job would do with each event, in order."""
    decoder = Decoder(
        types,
        max_record_bytes=config.decode.max_record_bytes,
        unknown_fields=config.decode.unknown_fields,
    )
    return (_verdict(decoder, raw, config) for raw in raws)


def _verdict(decoder: Decoder, raw: bytes, config: Config) -> dict[str, Any]:
    """Return the event's folder, index and id, or the reject's reason and detail."""
    outcome = decoder.decode(raw)
    if isinstance(outcome, Event):
        return _destinations(outcome, config)
    if isinstance(outcome, Control):
        return {"verdict": "control", "watermark": outcome.watermark}
    reason, detail = outcome.reason, outcome.detail
    return {"verdict": "reject", "step": "decode", "reason": reason, "detail": detail}


def _destinations(event: Event, config: Config) -> dict[str, Any]:
    partition: Partition = event.partition
    verdict: dict[str, Any] = {"verdict": "event", "event_type": event.event_type}
    if config.lake:
        verdict["lake"] = f"{config.lake.path}/{event.event_type}/{partition.path()}/"
    if config.index:
        verdict["index"] = index_name(config.index.prefix, event.event_type)
        verdict["id"] = event.document_id
        verdict["version"] = event.document_version
        verdict["document"] = msgspec.json.decode(event.document or b"null")
    return verdict

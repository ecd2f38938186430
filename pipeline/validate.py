"""What the job would do with a sample event, found out without a cluster."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from connectors.errors import UserError
from connectors.opensearch.options import index_name
from pipeline.config.model import Config
from pipeline.decode.decoder import Control, Decoder, Event, Reject
from pipeline.events.event_types import EventTypes


def samples(arguments: Sequence[str], standard_input: BinaryIO) -> Iterator[bytes]:
    """Yield the events of each argument: JSON, a file of lines, or `-` for standard input.

    Raises:
        UserError: a file cannot be read.
    """
    for argument in arguments:
        if argument == "-":
            yield from _lines(standard_input)
        elif _is_file(argument):
            try:
                with Path(argument).open("rb") as file:
                    yield from _lines(file)
            except OSError as error:
                raise UserError(f"{argument}: cannot be read ({error.strerror}).") from error
        else:
            yield argument.encode("utf-8", "surrogateescape")


def _lines(file: BinaryIO) -> Iterator[bytes]:
    return (line.removesuffix(b"\n").removesuffix(b"\r") for line in file)


def _is_file(argument: str) -> bool:
    """Return whether an argument names a file; JSON and texts too long for a name do not."""
    try:
        return not argument.lstrip().startswith(("{", "[")) and Path(argument).is_file()
    except OSError:
        return False


def verdicts(raws: Iterable[bytes], config: Config, types: EventTypes) -> Iterator[dict[str, Any]]:
    """Yield what the job would do with each event: folder, index and id, or the reject's reason."""
    decode = decoder(config, types).decode
    return (verdict(decode(raw), config) for raw in raws)


def decoder(config: Config, types: EventTypes) -> Decoder:
    """Return a decoder as the job's."""
    return Decoder(
        types,
        max_record_bytes=config.decode.max_record_bytes,
        unknown_fields=config.decode.unknown_fields,
    )


def verdict(outcome: Event | Control | Reject, config: Config) -> dict[str, Any]:
    """Return what the job does with a decoded record."""
    if isinstance(outcome, Event):
        return _destinations(outcome, config)
    if isinstance(outcome, Control):
        return {"verdict": "control", "watermark": outcome.watermark}
    why = {"reason": outcome.reason, "detail": outcome.detail}
    return {"verdict": "reject", "step": "decode", **why}


def _destinations(event: Event, config: Config) -> dict[str, Any]:
    where: dict[str, Any] = {"verdict": "event", "event_type": event.event_type}
    if config.lake:
        folder = f"{config.lake.path}/{event.event_type}"
        where["lake"] = f"{folder}/{event.partition.path()}/"
    if config.index:
        where["index"] = index_name(config.index.prefix, event.event_type)
        where["id"] = event.document_id
        where["version"] = event.document_version
        where["document"] = msgspec.json.decode(event.document or b"null")
    return where

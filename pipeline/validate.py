"""What the job would do with a sample event, found out without a cluster."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from connectors.errors import UserError
from connectors.opensearch.options import index_name
from pipeline.config.model import Config
from pipeline.decode.decoder import Control, Decoder, Event
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
    decoder = Decoder(
        types,
        max_record_bytes=config.decode.max_record_bytes,
        unknown_fields=config.decode.unknown_fields,
    )
    for outcome in map(decoder.decode, raws):
        if isinstance(outcome, Event):
            yield _destinations(outcome, config)
        elif isinstance(outcome, Control):
            yield {"verdict": "control", "watermark": outcome.watermark}
        else:
            why = {"reason": outcome.reason, "detail": outcome.detail}
            yield {"verdict": "reject", "step": "decode", **why}


def _destinations(event: Event, config: Config) -> dict[str, Any]:
    verdict: dict[str, Any] = {"verdict": "event", "event_type": event.event_type}
    if config.lake:
        folder = f"{config.lake.path}/{event.event_type}"
        verdict["lake"] = f"{folder}/{event.partition.path()}/"
    if config.index:
        verdict["index"] = index_name(config.index.prefix, event.event_type)
        verdict["id"] = event.document_id
        verdict["version"] = event.document_version
        verdict["document"] = msgspec.json.decode(event.document or b"null")
    return verdict

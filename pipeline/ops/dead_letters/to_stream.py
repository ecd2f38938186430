"""Send dead letters back to a Kinesis stream as the original bytes, at least once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from connectors.kinesis.producer import KinesisProducer
from connectors.kinesis.table import RECORD_BYTES, stream_of
from connectors.producer import Outgoing
from pipeline.decode.decoder import Decoder, Event
from pipeline.ops.dead_letters.letter import log_key
from pipeline.ops.dead_letters.redrive_target import Ready
from pipeline.ops.systems import Systems

TOO_LARGE: Final = "larger, with its partition key, than the stream takes"


class StreamSender:
    """Sends to one of the source's streams."""

    def __init__(self, systems: Systems, stream: str) -> None:
        config = systems.config
        names = {stream_of(one, config.kinesis).name: one for one in config.source.kinesis_streams}
        self._target = KinesisProducer(*systems.stream(names[stream]))
        self._decoder = Decoder(systems.types, unknown_fields=config.decode.unknown_fields)

    def deliver(self, batch: Sequence[Ready]) -> list[str | None]:
        """See `Sender`."""
        refusals = [self._send(ready) for ready in batch]
        self._target.flush()
        return refusals

    def close(self) -> None:
        """Close the connection."""
        self._target.close()

    def _send(self, ready: Ready) -> str | None:
        raw, key = ready.whole.raw or b"", self._partition_key(ready)
        if len(raw) + len(key) > RECORD_BYTES:
            return TOO_LARGE
        self._target.send(Outgoing(raw, key))
        return None

    def _partition_key(self, ready: Ready) -> bytes:
        """Return the key; else the event's id, which keeps its versions in order; else a hash."""
        if ready.whole.key:
            return ready.whole.key
        found = self._decoder.decode(ready.whole.raw)
        if isinstance(found, Event):
            return found.document_id.encode()
        return log_key(ready.letter.identity).hex().encode()

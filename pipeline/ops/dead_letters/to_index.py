"""Send dead letters into the index by the job's own code: a stream can't carry redrive headers.

Effectively once, by document id and version: a newer document is never overwritten.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence

from connectors.opensearch.bulk import Document, Limits, Outcome, Rejected
from connectors.opensearch.options import Index, index_name
from connectors.opensearch.templates import careful_sender
from pipeline.config.model import Config
from pipeline.decode.decoder import Control, Decoder, Reject
from pipeline.events.derive import mapping
from pipeline.events.event_types import EventTypes
from pipeline.index.indexer import Indexer, RetryPolicy
from pipeline.ops.dead_letters.redrive_target import Ready


class IndexSender:
    """Decodes and indexes as the job does."""

    def __init__(self, config: Config, index: Index, types: EventTypes) -> None:
        self._decoder = Decoder(
            types,
            max_record_bytes=config.decode.max_record_bytes,
            unknown_fields=config.decode.unknown_fields,
            documents=True,
        )
        self._prefix = index.prefix
        self._indexer = Indexer(
            careful_sender(index, {each.name: mapping(each) for each in types}),
            limits=Limits(documents=index.max_documents, bytes=index.max_bytes),
            retry=RetryPolicy(seconds=index.retry_seconds, breaker_seconds=index.breaker_seconds),
            clock=time.monotonic,
            sleep=time.sleep,
            random=random.random,
        )

    def deliver(self, batch: Sequence[Ready]) -> list[str | None]:
        """See `Sender`; an unreachable OpenSearch refuses the records and does not raise."""
        made = [self._document(ready) for ready in batch]
        documents = [each for each in made if isinstance(each, Document)]
        outcomes = map(_refusal, self._indexer.index(documents))
        return [each if isinstance(each, str) else next(outcomes) for each in made]

    def close(self) -> None:
        """Do nothing: no connection is kept open."""

    def _document(self, ready: Ready) -> Document | str:
        found = self._decoder.decode(ready.whole.raw)
        if isinstance(found, Reject):
            return f"decode refuses it now: {found.reason}"
        if isinstance(found, Control):
            return "it is a watermark, which has no document"
        name = index_name(self._prefix, found.event_type)
        return Document(name, found.document_id, found.document_version, found.document)


def _refusal(outcome: Outcome) -> str | None:
    return f"the index refused it: {outcome.reason}" if isinstance(outcome, Rejected) else None

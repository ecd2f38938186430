"""`tap index`: the newest documents of the configured indices."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from connectors.errors import UserError
from connectors.opensearch.newest import BySequence, ByTime, Hit, Newest
from connectors.opensearch.options import Index, index_name
from pipeline.ops.systems import Systems, systems
from pipeline.ops.tap.pace import Pace
from pipeline.ops.tap.view import Seen, in_turn
from pipeline.terminal import counted


class IndexTap:
    """Follows the index of each event type; a document is seen when the index shows it."""

    waits_for = "documents"

    def __init__(self, config: Path, *, newest: int) -> None:
        """Show at first the `newest` documents that are there."""
        configured = systems(config)
        settings = configured.config.index
        if settings is None:
            raise UserError(
                "the configuration has no section index, so there is none to look at; use that of"
                " a job that has one."
            )
        self._indices = _indices(configured, settings)
        self._last = [index.last(newest) for index in self._indices.values()]
        self._pace = Pace()
        self._searches, self._seen = 0, 0
        plural = "indices" if len(self._indices) > 1 else "index"
        self.what = f"the {plural} {', '.join(self._indices)} at {settings.url}"

    def earlier(self) -> Iterator[Seen]:
        """Yield the newest documents of each index."""
        return map(_seen, in_turn(self._last))

    def poll(self) -> Iterable[Seen]:
        """Return what was written to each index, once a second."""
        if not self._pace.is_due():
            return ()
        with self._pace.asking():
            hits = list(in_turn([index.poll() for index in self._indices.values()]))
        self._searches += len(self._indices)
        self._seen += len(hits)
        return map(_seen, hits)

    def looked_at(self) -> str:
        """Return how many documents came."""
        searches = counted(self._searches, "search", "searches")
        return f"{counted(self._seen, 'new document')} in {searches}"

    def close(self) -> None:
        """Do nothing: no connection stays open."""


def _indices(configured: Systems, settings: Index) -> dict[str, Newest]:
    client = configured.opensearch()
    indices: dict[str, Newest] = {}
    for event_type in configured.types:
        name = index_name(settings.prefix, event_type.name)
        if settings.service == "aoss":
            time_field = event_type.version_time or event_type.event_time
            indices[name] = ByTime(client, name, time_field)
        else:
            indices[name] = BySequence(client, name)
    return indices


def _seen(hit: Hit) -> Seen:
    fields = {"index": hit.index, "id": hit.id, "version": hit.version, "document": hit.source}
    content = json.dumps(hit.source, ensure_ascii=False, separators=(",", ":"))
    return Seen(fields, ("document", hit.index, hit.id, f"version {hit.version}"), content)

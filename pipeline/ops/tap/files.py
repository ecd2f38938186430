"""The new files of a store, found by listing it again and again."""

from __future__ import annotations

from collections.abc import Sequence

from connectors.s3.store import ReadableStore, Stored, is_hidden
from pipeline.ops.tap.pace import Pace


class NewFiles:
    """Finds the visible files that come to some folders of a store.

    Hidden ones are left out, as those are that a job has not completed yet.
    """

    def __init__(self, store: ReadableStore, folders: Sequence[str]) -> None:
        self._store, self._folders = store, folders
        self.listings = 0
        self._pace = Pace()
        self.first = self._listed()
        self._known = {stored.path for stored in self.first}

    def since(self, millis: int) -> list[Stored]:
        """Return the files that were there at first and are not older, the newest first."""
        return [stored for stored in reversed(self.first) if (stored.modified_ms or 0) >= millis]

    def poll(self) -> list[Stored]:
        """Return the files that came since the last listing, the oldest first.

        Wait up to 0.2 s if it is too early for the next one.
        """
        if not self._pace.is_due():
            return []
        listed = self._listed()
        new = [stored for stored in listed if stored.path not in self._known]
        self._known = {stored.path for stored in listed}
        return new

    def _listed(self) -> list[Stored]:
        with self._pace.asking():
            listed = [
                stored
                for folder in self._folders
                for stored in self._store.everything(folder)
                if not is_hidden(stored.path)
            ]
        self.listings += 1
        return sorted(listed, key=lambda stored: (stored.modified_ms or 0, stored.path))

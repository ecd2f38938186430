"""How far a running job has come: how many records its completed checkpoints cover."""

from __future__ import annotations

from collections.abc import Mapping

from connectors.flink.rest import wait_for
from connectors.s3.parquet import row_count
from connectors.s3.store import ReadableStore, open_store
from pipeline.submit import Submitted

PATIENCE_SECONDS = 300.0


class ArchivedRecords:
    """How many records completed checkpoints cover, whatever source they came from.

    A file of the archive (or of another Parquet sink) becomes visible when the checkpoint that
    covers it completes, so its rows are read and their effects are recorded.
    """

    def __init__(self, store: ReadableStore) -> None:
        self._store = store
        self._rows: dict[str, int] = {}

    def count(self) -> int:
        """Count the rows of all visible files; each file's footer is read once."""
        for stored in self._store.listing():
            if stored.path not in self._rows:
                self._rows[stored.path] = row_count(self._store, stored.path)
        return sum(self._rows.values())


def wait_archived(
    job: Submitted, environment: Mapping[str, str], records: int, patience_seconds: float
) -> None:
    """Wait until the Parquet archive holds that many records: checkpoints cover them then."""
    assert job.config.archive is not None and job.config.archive.path, "there is no such archive"
    archived = ArchivedRecords(open_store(job.config.archive.path, environment))

    def covered() -> bool:
        job.cluster.running(job.job_id)
        return archived.count() >= records

    wait_for(covered, patience_seconds, f"the archive did not hold {records} records")


def wait_checkpoints(job: Submitted, more: int) -> None:
    """Wait until that many more checkpoints have completed."""
    wanted = job.cluster.checkpoints(job.job_id).completed + more
    wait_for(
        lambda: job.cluster.checkpoints(job.job_id).completed >= wanted,
        PATIENCE_SECONDS,
        f"{more} more checkpoints did not complete",
    )

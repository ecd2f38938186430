"""The former names of `connectors.s3.store` and `connectors.s3.parquet`.

Only for pipeline/ops/reconcile and dev/demo, until these use the new ones.
"""

from __future__ import annotations

from connectors.s3.parquet import pages
from connectors.s3.parquet import pages as tables
from connectors.s3.store import ReadableStore as Store
from connectors.s3.store import Stored, open_store
from connectors.s3.store import open_store as store_at

__all__ = ["Store", "Stored", "open_store", "pages", "store_at", "tables"]

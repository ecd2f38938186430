"""From our configuration to the settings of the OpenSearch connector."""

from __future__ import annotations

from connectors.opensearch.client import IndexSettings
from pipeline.config.model import Index


def index_settings(index: Index) -> IndexSettings:
    """The connector's settings; empty texts of the configuration mean nothing given."""
    return IndexSettings(
        url=index.url,
        auth=index.auth,
        username=index.username or None,
        password=index.password or None,
        region=index.region or None,
        service=index.service,
        ca_file=index.ca_file or None,
        timeout_s=index.timeout_seconds,
        prefix=index.prefix,
        shards=index.shards,
        replicas=index.replicas,
        refresh_interval=index.refresh_interval,
    )

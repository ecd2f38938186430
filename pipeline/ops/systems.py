"""The outside systems that a configuration names, for operator tools."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from connectors.errors import UserError
from connectors.kinesis import reader as kinesis_stream
from connectors.kinesis.table import stream_of
from connectors.opensearch import client as opensearch
from connectors.s3.store import Store, open_store
from pipeline.config import load as load_config
from pipeline.config.model import Config
from pipeline.events.event_types import EventTypes
from pipeline.ops.lake.content import Lake


@dataclass(frozen=True, slots=True)
class Systems:
    """The systems of a configuration, and how to reach them."""

    config: Config
    types: EventTypes
    environment: dict[str, str]

    @property
    def lake_path(self) -> str:
        """The lake's address, without a slash at its end; UserError if there is no lake."""
        if self.config.lake is None:
            raise UserError("the configuration has no lake; give a section lake with its path.")
        return self.config.lake.path.rstrip("/")

    def store(self, path: str) -> Store:
        """Return the store at a path."""
        return open_store(path, self.environment)

    def lake(self, path: str) -> Lake:
        """Return the lake at a path, with the files it consists of now."""
        return Lake(self.store(path))

    def stream(self, name_or_arn: str) -> tuple[Any, str]:
        """Return a client for a stream, and the stream's name."""
        stream = stream_of(name_or_arn, self.config.kinesis)
        endpoint = self.config.kinesis.endpoint
        return kinesis_stream.connect(stream, endpoint, self.environment), stream.name

    def opensearch(self) -> Any:
        """Return an opensearch-py client; the configuration must have an index."""
        assert self.config.index, "ask only where there is an index"
        return opensearch.client(self.config.index)


def systems(config: Path, environment: Mapping[str, str] = os.environ) -> Systems:
    """Read the configuration; missing addresses and keys come from `environment`.

    Raises:
        UserError: what is wrong in the configuration or the schemas.
    """
    settings = load_config.load(config, environment)
    return Systems(settings, load_config.event_types(settings), dict(environment))

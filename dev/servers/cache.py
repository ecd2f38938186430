"""Paths of what set-up fetches and builds: `.cache` at the root of the checkout."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipeline.deploy.builds import Cache


@dataclass(frozen=True, slots=True)
class ServerCache(Cache):
    """The paths that set-up fills and the local servers run from."""

    @property
    def flink_home(self) -> Path:
        """A Flink distribution: PyFlink's own files, the connectors in lib/, the S3 plugin in
        plugins/."""
        return self.directory / "flink"

    @property
    def versitygw(self) -> Path:
        """The S3 server's binary; absent without Go, when moto is used instead."""
        return self.directory / "bin" / "versitygw"

    @property
    def kinesis(self) -> Path:
        """The Kinesis server's npm package; absent without Node."""
        return self.directory / "kinesis"

    @property
    def chromium(self) -> Path:
        """The browser that tests and pictures pages; absent without Node."""
        return self.directory / "chromium"

    @property
    def prometheus(self) -> Path:
        """Debian's packages of Prometheus, unpacked; there once dashboards were asked for."""
        return self.directory / "prometheus"

    @property
    def registry(self) -> Path:
        """The schema registry, unpacked; there once it was asked for."""
        return self.directory / "registry"

    @property
    def localstack(self) -> Path:
        """LocalStack's environment and its Kinesis server; there once it was asked for."""
        return self.directory / "localstack"

    @property
    def compose(self) -> Path:
        """The check of docker-compose.yml; there once a test asked for it."""
        return self.directory / "compose" / "check"

    def jars(self, server: str) -> Path:
        """The folder of one Maven profile's jars: `kafka`, `opensearch` or `s3-plugin`."""
        return self.directory / "servers" / server

"""Where set-up puts things: `.cache` at the root of the checkout, one property per thing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Cache:
    """The paths that set-up fills and the local servers run from."""

    root: Path

    @property
    def directory(self) -> Path:
        """The cache itself; deleting it costs nothing but the next set-up's time."""
        return self.root / ".cache"

    @property
    def pom(self) -> Path:
        """All versions of jars and servers."""
        return self.root / "connectors" / "pom.xml"

    @property
    def connectors_jar(self) -> Path:
        """The one jar with every connector of the job."""
        return self.directory / "jars" / "streaming-etl-connectors.jar"

    @property
    def flink_home(self) -> Path:
        """A Flink distribution: PyFlink's own files, the connectors in lib/, the S3 plugin in
        plugins/."""
        return self.directory / "flink"

    @property
    def versitygw(self) -> Path:
        """The S3 server's binary; absent where Go is (moto then takes its place)."""
        return self.directory / "bin" / "versitygw"

    @property
    def kinesis(self) -> Path:
        """The Kinesis server's npm package; absent where Node is and nobody asked for it."""
        return self.directory / "kinesis"

    @property
    def wheels(self) -> Path:
        """A folder of wheels for each content of the lock, for the package."""
        return self.directory / "wheels"

    @property
    def stamps(self) -> Path:
        """One file per finished part, holding the hash of what it was made from."""
        return self.directory / "stamps"

    def jars(self, server: str) -> Path:
        """The folder of one Maven profile's jars: `kafka`, `opensearch` or `s3-plugin`."""
        return self.directory / "servers" / server

"""Plays the managed service: a package goes into a bucket and runs from there, or its next version.

The Python that runs it has apache-flink alone, the cluster lacks our jar, and the configuration is
the property groups' file; see `dev.rehearse.as_platform`.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from connectors.s3.client import s3_client
from dev.rehearse import as_platform
from dev.rehearse.account import Account
from dev.rehearse.load import upgraded_schema
from dev.servers.cache import ServerCache
from dev.servers.stack import Stack
from pipeline.cluster import cluster_of
from pipeline.config import load as load_config
from pipeline.deploy.builds import Say
from pipeline.deploy.package import wheels
from pipeline.deploy.package.build import PYTHON, contents_of, write
from pipeline.events import event_types
from pipeline.ops.systems import Systems
from pipeline.submit import Submitted

_UPGRADED = "schemas/trip.avsc"


@dataclass(frozen=True, slots=True)
class Platform:
    """The service beside running servers; `folder` is its own, `python` the bare interpreter."""

    account: Account
    stack: Stack
    folder: Path
    python: Path

    @property
    def packages(self) -> str:
        """The bucket that packages are fetched from."""
        return str(self.account.stack.ref("PackageBucket"))

    def upload(self, package: Path, key: str) -> None:
        """Upload the package, as `aws s3 cp` does, into an existing bucket."""
        self._s3().upload_file(str(package), self.packages, key)

    def start(self, key: str, savepoint: str = "") -> tuple[Submitted, Systems]:
        """Fetch a package, unpack it into an empty folder and submit it.

        Return the job, and what the tools need to read its sinks.

        Raises:
            UserError: what the package or Flink answered when it refused.
        """
        fetched, folder = self.folder / key, self.folder / key.removesuffix(".zip")
        fetched.parent.mkdir(parents=True, exist_ok=True)
        self._s3().download_file(self.packages, key, str(fetched))
        program = as_platform.unpack(fetched, folder)
        environment = self._environment(key)
        with as_platform.placed(self.account.groups()) as path:
            config = load_config.load_property_groups(path)
            job_id = as_platform.submit(
                Path(environment["FLINK_HOME"]),
                environment["FLINK_REST_URL"],
                python=self.python,
                program=program,
                environment=environment,
                savepoint=savepoint,
            )
        types = event_types.load(folder / PYTHON / "schemas")
        job = Submitted(job_id, "", config, cluster_of(environment))
        return job, Systems(config, types, {**os.environ, **environment})

    def _environment(self, key: str) -> dict[str, str]:
        """Return the servers' addresses, and Flink's configuration with the platform's settings."""
        environment = self.stack.environment()
        conf = self.folder / f"{key}.conf"
        shutil.copytree(environment["FLINK_CONF_DIR"], conf)
        settings = self.account.platform_settings()
        with (conf / "config.yaml").open("a", encoding="utf-8") as file:
            file.writelines(f'{name}: "{value}"\n' for name, value in settings.items())
        return {"PATH": os.environ["PATH"], **environment, "FLINK_CONF_DIR": str(conf)}

    def _s3(self) -> Any:
        return s3_client(self.stack.environment())


def next_version(root: Path, out: Path, *, say: Say) -> None:
    """Build a package whose yellow trips have one more nullable field, otherwise unchanged."""
    cache = ServerCache(root.resolve())
    contents = contents_of(cache, wheels.fetched(cache, say=say))
    text = (root / _UPGRADED).read_text(encoding="utf-8")
    write({**contents, f"{PYTHON}/{_UPGRADED}": upgraded_schema(text).encode()}, out)

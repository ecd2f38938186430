"""Prometheus as one process on 127.0.0.1, from Debian's package, which is unpacked and not
installed.

It reads the exposition of the metrics server and evaluates the alarms as alerting rules. The
package comes with promtool, which checks both.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import tempfile
from pathlib import Path

import yaml

from connectors.errors import UserError
from dev.servers.cache import ServerCache
from dev.servers.server import Server, fetch
from pipeline.deploy.builds import run

PACKAGES = Path(__file__).with_name("prometheus_packages.txt")
"""Lines of `name=version sha256`: Prometheus, and the files that its web pages use."""
RULES = Path("conf/prometheus/alerts.yml")
DASHBOARD = Path("conf/prometheus/consoles/streaming-etl.html")
SCRAPE_SECONDS = 5
KEPT_DAYS = 7


def server(
    cache: ServerCache,
    *,
    folder: Path,
    port: int,
    metrics_url: str,
    scrape_seconds: int = SCRAPE_SECONDS,
) -> Server:
    """Prometheus over the metrics server; it keeps its data below `folder` for a week."""
    url = f"http://127.0.0.1:{port}"
    settings = configuration(cache.root / RULES, metrics_url, scrape_seconds)
    return Server(
        name="prometheus",
        command=(
            str(program(cache, "prometheus")),
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--storage.tsdb.retention.time={KEPT_DAYS}d",
            f"--web.listen-address=127.0.0.1:{port}",
            # By default the pages of every site may read what it has.
            f"--web.cors.origin={re.escape(url)}",
            f"--web.local-assets={cache.prometheus / 'usr' / 'share' / 'prometheus' / 'web'}",
            f"--web.console.templates={(cache.root / DASHBOARD).parent}",
            "--web.page-title=streaming-etl",
        ),
        port=port,
        url=f"{url}/consoles/{DASHBOARD.name}",
        is_ready=lambda: fetch(f"{url}/-/ready") is not None,
        prepare=lambda: write_configuration(folder, settings),
    )


def configuration(rules: Path, metrics_url: str, scrape_seconds: int) -> str:
    """Return prometheus.yml: one target, and the rule file."""
    interval = f"{scrape_seconds}s"
    target = metrics_url.removeprefix("http://")
    return yaml.safe_dump(
        {
            "global": {"scrape_interval": interval, "evaluation_interval": interval},
            "rule_files": [str(rules)],
            "scrape_configs": [
                {"job_name": "streaming-etl", "static_configs": [{"targets": [target]}]}
            ],
        },
        sort_keys=False,
    )


def write_configuration(folder: Path, settings: str) -> None:
    """Write prometheus.yml."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "prometheus.yml").write_text(settings, "utf-8")


def program(cache: ServerCache, name: str) -> Path:
    """Return the path of `prometheus` or `promtool`."""
    return cache.prometheus / "usr" / "bin" / name


def pinned() -> dict[str, str]:
    """Return the SHA-256 of each package's file by `name=version`."""
    words = PACKAGES.read_text("utf-8").split()
    return dict(zip(words[::2], words[1::2], strict=True))


def install(folder: Path) -> None:
    """Fetch the pinned packages with apt and unpack them into `folder`; needs no root.

    Raises:
        UserError: apt does not offer a pinned version, or a file is not the pinned one.
    """
    packages = pinned()
    with tempfile.TemporaryDirectory() as name:
        downloads = Path(name)
        download(list(packages), downloads)
        files = {file.name.partition("_")[0]: file for file in downloads.glob("*.deb")}
        for package, digest in packages.items():
            verify(files[package.partition("=")[0]], digest)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for file in files.values():
            run(["dpkg-deb", "-x", str(file), str(folder)])


def download(packages: list[str], folder: Path) -> None:
    """Fetch packages' files; apt compares them with the hashes that Debian has signed."""
    try:
        run(["env", "-C", str(folder), "apt-get", "-q", "download", *packages])
    except UserError as error:
        raise UserError(
            "apt could not fetch the packages of Prometheus (the versions are those of Debian 12"
            " for amd64). Run `apt-get update`; if a version is no longer offered, put the one"
            f" that `apt-cache policy` shows, and the SHA-256 of its file, into {PACKAGES};"
            f" or start the servers without dashboards.\n{error}"
        ) from None


def verify(file: Path, digest: str) -> None:
    """Raise UserError if the file is not the one that was pinned."""
    found = hashlib.sha256(file.read_bytes()).hexdigest()
    if found != digest:
        raise UserError(
            f"{file.name} has the SHA-256 {found}, and {PACKAGES} says {digest}: nothing was"
            " unpacked. Another machine type than amd64 has another file; if this is one, start the"
            " servers without dashboards."
        )

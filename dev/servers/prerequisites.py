"""What the local servers need of the machine, besides what the job's own build needs."""

from __future__ import annotations

import shutil
from importlib.util import find_spec

from pipeline.deploy.prerequisites import Prerequisite, too_old

# From 1.21 on, Go fetches the version that versitygw asks for (1.25).
OLDEST_GO = (1, 21)
# The Kinesis server's program has syntax that Node 14 does not know.
OLDEST_NODE = (16, 0)


def go_problem() -> str | None:
    """Go builds the S3 server versitygw."""
    return too_old("go", "version", OLDEST_GO)


def s3_problem() -> str | None:
    """An S3 server is built with Go, or moto's is taken."""
    problem = go_problem()
    if problem is None or find_spec("moto"):
        return None
    return f"{problem} to build the S3 server versitygw; nor is there moto, a slower stand-in"


def node_problem() -> str | None:
    """The Kinesis server runs on Node, which unpacks Chromium too; npm fetches both."""
    problem = too_old("node", "--version", OLDEST_NODE)
    if problem is None and shutil.which("npm") is None:
        problem = "npm was not found on PATH"
    return problem


def apt_problem() -> str | None:
    """Prometheus comes as packages of Debian, which are fetched with apt and not installed."""
    absent = [name for name in ("apt-get", "dpkg-deb") if shutil.which(name) is None]
    if absent:
        return f"{' and '.join(absent)} not found on PATH (dashboards: Debian's Prometheus)"
    return None


S3 = Prerequisite(s3_problem, "install Go from https://go.dev/dl, or pip install 'moto[server]'")
NODE = Prerequisite(node_problem, "apt install nodejs npm, or leave Kinesis out")
APT = Prerequisite(apt_problem, "use Debian 12, or leave dashboards out")

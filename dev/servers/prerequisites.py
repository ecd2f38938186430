"""What the local servers need of the machine, besides what the job's own build needs."""

from __future__ import annotations

import shutil
from importlib.util import find_spec

from pipeline.deploy.builds import Prerequisite


def s3_problem() -> str | None:
    """An S3 server is built with Go, or moto's is taken."""
    if shutil.which("go") or find_spec("moto"):
        return None
    return "neither Go (to build the S3 server versitygw) nor moto (a slower stand-in) was found"


def node_problem() -> str | None:
    """The Kinesis server runs on Node, and npm fetches it."""
    missing = [program for program in ("node", "npm") if shutil.which(program) is None]
    return f"not found on PATH: {', '.join(missing)} (the Kinesis server)" if missing else None


S3 = Prerequisite(s3_problem, "apt install golang-go, or pip install 'moto[server]'")
NODE = Prerequisite(node_problem, "apt install nodejs npm, or leave Kinesis out")

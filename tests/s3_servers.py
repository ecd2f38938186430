"""Two S3 servers with an empty bucket, versitygw and moto, and the environment to reach each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from moto.server import ThreadedMotoServer

from dev.servers import s3
from dev.servers.stack import Stack

ROOT = Path(__file__).parents[1]


@contextmanager
def versitygw(bucket: str, folder: Path) -> Iterator[dict[str, str]]:
    stack = Stack(ROOT, run_dir=folder, free_ports=True, servers=("s3",))
    with stack.running(print, wipe=True) as running:
        s3.create_bucket(bucket, endpoint=running.environment()["S3_ENDPOINT"])
        yield running.environment()


@contextmanager
def moto(bucket: str) -> Iterator[dict[str, str]]:
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    s3.create_bucket(bucket, endpoint=endpoint)
    try:
        yield {"S3_ENDPOINT": endpoint, **s3.CREDENTIALS}
    finally:
        server.stop()

"""An S3 server as one process on 127.0.0.1: versitygw over a folder, or moto where it could not
be built."""

from __future__ import annotations

import sys
from pathlib import Path

import boto3
from botocore.exceptions import ClientError

from dev.servers.cache import ServerCache
from dev.servers.server import Server, answers

# Throw-away values of a server that only this machine can reach.
ACCESS_KEY = "local"
SECRET_KEY = "local-secret"
REGION = "us-east-1"
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": ACCESS_KEY,
    "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
    "AWS_REGION": REGION,
}


def server(cache: ServerCache, *, folder: Path, port: int) -> Server:
    """An S3 server that keeps its objects below `folder` (moto: in memory)."""
    url = f"http://127.0.0.1:{port}"
    data = folder / "data"
    return Server(
        name="s3",
        command=versitygw(cache, data, port) if cache.versitygw.exists() else moto(port),
        port=port,
        url=url,
        is_ready=lambda: answers(url),
        prepare=lambda: data.mkdir(parents=True, exist_ok=True),
        environment={"ROOT_ACCESS_KEY": ACCESS_KEY, "ROOT_SECRET_KEY": SECRET_KEY},
    )


def versitygw(cache: ServerCache, data: Path, port: int) -> tuple[str, ...]:
    """Needs a file system with extended attributes: with --nometa no multipart upload completes.

    Without --keep-alive each of the three requests that make a small file opens a connection.
    """
    gateway = (str(cache.versitygw), "--port", f"127.0.0.1:{port}", "--quiet", "--keep-alive")
    return (*gateway, "posix", "--io-buffer-size", "65536", str(data))


def moto(port: int) -> tuple[str, ...]:
    """moto's server, run with the interpreter that has it."""
    return (sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port))


def create_bucket(name: str, *, endpoint: str) -> None:
    """Make a bucket on the local server; one that is there already is fine."""
    client = boto3.client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
        region_name=REGION,
    )
    try:
        client.create_bucket(Bucket=name)
    except ClientError as error:
        if error.response["Error"]["Code"] not in {
            "BucketAlreadyOwnedByYou",
            "BucketAlreadyExists",
        }:
            raise

"""An S3 server as one process on 127.0.0.1: versitygw over a folder, or moto where it could not
be built."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

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

_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
# The variables by which the AWS SDKs find a profile file: Python and Java v2; Java v1; both.
PROFILE_FILE = ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CREDENTIAL_PROFILES_FILE", "AWS_CONFIG_FILE")


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


def write_profile(path: Path, keys: Mapping[str, str]) -> None:
    """Write the keys, environment variables of AWS, as a profile file that only its owner reads.

    Flink's processes get their keys by it: what is in their environment is printed into their logs.
    """
    lines = ["[default]", *(f"{name.lower()} = {keys[name]}" for name in _KEYS if name in keys)]
    path.unlink(missing_ok=True)
    path.touch(mode=0o600, exist_ok=False)
    path.write_text("\n".join([*lines, ""]), "utf-8")


def profile_environment(path: Path, region: str = REGION) -> dict[str, str]:
    """Return the environment of a process that reads its keys from a profile file."""
    return {**dict.fromkeys(PROFILE_FILE, str(path)), "AWS_REGION": region}


def create_bucket(name: str, *, endpoint: str) -> None:
    """Make a bucket on the local server; one that is there already is fine."""
    # Imported here: --help of each command of the workbench imports this module.
    import boto3
    from botocore.exceptions import ClientError

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

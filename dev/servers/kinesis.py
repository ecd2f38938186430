"""A Kinesis server as one process on 127.0.0.1 (kinesis-mock on Node, in memory, with real
resharding), and what tests and examples do with its streams."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from connectors.errors import UserError
from dev.servers import s3
from dev.servers.cache import ServerCache
from dev.servers.server import Server, answers

PACKAGE = "kinesis-local"
ACCOUNT = "000000000000"
SHARD_LIMIT = 64  # of all streams together
CHANGE = "50ms"  # how long a stream is CREATING, UPDATING or DELETING

# The server binds every address and has no option against it.
LOOPBACK_ONLY = """\
const { Server } = require("net");
const { listen } = Server.prototype;
Server.prototype.listen = function (port, ...rest) {
  return listen.call(this, port, "127.0.0.1", rest.at(-1));
};
"""

# Each write hashes every record that its stream holds: 2,000 records/s fall to 400 by 20,000.
# A record never changes, so its hash can be kept.
RECORD_HASH = "$m_s_util_hashing_MurmurHash3$().Q(this, (-171008355), true)"
RECORD_HASH_KEPT = f"(this.hash$ ??= {RECORD_HASH})"

# The AWS SDKs for Java, v1 and v2, speak CBOR to Kinesis unless told not to.
JSON_ONLY = {"AWS_CBOR_DISABLE": "1", "CBOR_ENABLED": "false"}


def server(cache: ServerCache, *, folder: Path, port: int) -> Server:
    """Return a Kinesis server, which keeps its records in memory only."""
    url = f"http://127.0.0.1:{port}"
    package = package_folder(cache.kinesis)
    preload = folder / "loopback.cjs"
    return Server(
        name="kinesis",
        command=(node(), "--require", str(preload), str(package / "main.js")),
        port=port,
        url=url,
        is_ready=lambda: answers(url),
        prepare=lambda: prepare(preload),
        environment=environment(package, port),
        patience=30.0,
    )


def package_folder(installed: Path) -> Path:
    """Return the package below the folder that npm installed into."""
    return installed / "node_modules" / PACKAGE


def prepare(preload: Path) -> None:
    """Write the script that Node runs before the server."""
    preload.parent.mkdir(parents=True, exist_ok=True)
    preload.write_text(LOOPBACK_ONLY, "utf-8")


def environment(package: Path, port: int) -> dict[str, str]:
    """Return the server's settings, all of them environment variables."""
    changes = (
        *("CREATE_STREAM", "DELETE_STREAM", "SPLIT_SHARD", "MERGE_SHARDS", "UPDATE_SHARD_COUNT"),
        *("UPDATE_STREAM_MODE", "REGISTER_STREAM_CONSUMER", "DEREGISTER_STREAM_CONSUMER"),
    )
    return {
        "KINESIS_MOCK_PLAIN_PORT": str(port),
        # It insists on a second, encrypted port: one that nobody asked for, so any will do.
        "KINESIS_MOCK_TLS_PORT": "0",
        "KINESIS_MOCK_CERT_PATH": str(package / "server.json"),
        "AWS_ACCOUNT_ID": ACCOUNT,
        "AWS_REGION": s3.REGION,
        "SHARD_LIMIT": str(SHARD_LIMIT),
        "SHOULD_PERSIST_DATA": "false",
        "LOAD_DATA_IF_EXISTS": "false",
        "LOG_LEVEL": "ERROR",
        **{f"{change}_DURATION": CHANGE for change in changes},
    }


def keep_hashes(main: Path) -> None:
    """Patch one expression in our copy of the server; UserError if it is missing."""
    program = main.read_text("utf-8")
    if program.count(RECORD_HASH) != 1:
        raise UserError(f"{main} differs from the one that dev/servers/kinesis.py was written for")
    main.write_text(program.replace(RECORD_HASH, RECORD_HASH_KEPT), "utf-8")


def node() -> str:
    """Return Node's path; UserError if there is none."""
    node = shutil.which("node")
    if node is None:
        raise UserError("node was not found on PATH: apt install nodejs")
    return node


def client(endpoint: str) -> Any:
    """A boto3 client of the local server: throw-away keys, no proxy, every wait bounded."""
    # Imported here: --help of each command of the workbench imports this module.
    import boto3
    from botocore.config import Config

    return boto3.client(
        "kinesis",
        endpoint_url=endpoint,
        aws_access_key_id=s3.ACCESS_KEY,
        aws_secret_access_key=s3.SECRET_KEY,
        region_name=s3.REGION,
        config=Config(
            connect_timeout=5,
            read_timeout=30,
            retries={"mode": "standard", "total_max_attempts": 4},
            proxies={},
        ),
    )


def create_stream(name: str, *, endpoint: str, shards: int = 1) -> str:
    """Create a stream, wait until it is active and return its ARN; an existing one is left as it
    is."""
    kinesis = client(endpoint)
    try:
        kinesis.create_stream(StreamName=name, ShardCount=shards)
    except kinesis.exceptions.ResourceInUseException:
        return wait_until_active(kinesis, name)
    return wait_until_active(kinesis, name)


def list_shards(stream: str, *, endpoint: str) -> list[dict[str, Any]]:
    """Every shard of a stream as the API describes it, closed ones included."""
    shards: list[dict[str, Any]] = client(endpoint).list_shards(StreamName=stream)["Shards"]
    return shards


def open_shards(stream: str, *, endpoint: str) -> list[str]:
    """The ids of the shards that take records, in the order of their hash keys."""
    shards = [
        shard
        for shard in list_shards(stream, endpoint=endpoint)
        if "EndingSequenceNumber" not in shard["SequenceNumberRange"]
    ]
    return [shard["ShardId"] for shard in sorted(shards, key=first_key)]


def split_shard(stream: str, shard: str, *, endpoint: str) -> list[str]:
    """Split a shard in the middle of its hash keys and return its two children's ids."""
    kinesis = client(endpoint)
    shards = {listed["ShardId"]: listed for listed in list_shards(stream, endpoint=endpoint)}
    last = int(shards[shard]["HashKeyRange"]["EndingHashKey"])
    middle = (first_key(shards[shard]) + last + 1) // 2
    kinesis.split_shard(StreamName=stream, ShardToSplit=shard, NewStartingHashKey=str(middle))
    wait_until_active(kinesis, stream)
    return children(stream, shard, endpoint=endpoint)


def merge_shards(stream: str, shard: str, adjacent: str, *, endpoint: str) -> str:
    """Merge two shards with neighbouring hash keys and return their child's id."""
    kinesis = client(endpoint)
    kinesis.merge_shards(StreamName=stream, ShardToMerge=shard, AdjacentShardToMerge=adjacent)
    wait_until_active(kinesis, stream)
    (child,) = children(stream, shard, endpoint=endpoint)
    return child


def children(stream: str, shard: str, *, endpoint: str) -> list[str]:
    """The shards that name a shard as their parent."""
    shards = list_shards(stream, endpoint=endpoint)
    return [listed["ShardId"] for listed in shards if listed.get("ParentShardId") == shard]


def first_key(shard: dict[str, Any]) -> int:
    """Where a shard's hash keys begin."""
    return int(shard["HashKeyRange"]["StartingHashKey"])


def wait_until_active(kinesis: Any, stream: str) -> str:
    """Wait at most ten seconds until a stream is ACTIVE; return its ARN."""
    often = {"Delay": 0.05, "MaxAttempts": 200}
    kinesis.get_waiter("stream_exists").wait(StreamName=stream, WaiterConfig=often)
    summary = kinesis.describe_stream_summary(StreamName=stream)["StreamDescriptionSummary"]
    return str(summary["StreamARN"])

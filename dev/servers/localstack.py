"""LocalStack as one process on 127.0.0.1: S3, Kinesis, CloudFormation and what else its community
edition has, in memory; installed from a lock of its own into an environment of its own.

It stands for AWS as a whole, where `s3` and `kinesis` are two servers that are faster and stricter.
"""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path
from typing import Final

import msgspec

from connectors.errors import UserError
from dev.servers import kinesis, npm
from dev.servers.cache import ServerCache
from dev.servers.server import Server, fetch
from pipeline.deploy.builds import run

_S3: Final = Path("lib/python3.11/site-packages/localstack/services/s3/provider.py")
PACKAGES: Final = Path(__file__).with_name("localstack.lock")
"""Every package with its version and hashes; made from localstack.in."""

KINESIS_VERSION: Final = "0.4.13"
"""Of the Kinesis server that this LocalStack fetches with npm at its first request; set-up does
that instead (`_KINESIS_MOCK_VERSION` in localstack/services/kinesis/packages.py)."""
KINESIS_INTEGRITY: Final = (
    "sha512-Fkl4YjDdd2A4nXSxhwodjoAUIQwMPIo1BgcHumMEpPba"
    "X9JcDBUaTbZdcKqq2nW7ZZhf81ZONAwyH5+abyWflQ=="
)

# As in dev/servers/kinesis.py, whose version is newer and not minified: each write hashes every
# record of the stream. 5,000 records took 8 s in an empty stream, and 85 s behind 15,000 others.
RECORD_HASH: Final = "return Li(this,-889275714,!1)"
RECORD_HASH_KEPT: Final = "return this.hash$??=Li(this,-889275714,!1)"
_OF_A_RECORD: Final = (
    f"e.j=function(){{{RECORD_HASH}}};e.h=function(){{return Ly(S(),this)}};"
    "e.e=function(a){if(this===a)return!0;if(a instanceof UW)"
)
"""`KinesisRecord.hashCode`; `UW` is the record's class."""

_LISTING: Final = "                if key < decoded_continuation_token:\n"
_LISTING_DECODED: Final = _LISTING.replace("key <", "s3_object.key <")
"""In ListObjectsV2. boto3 asks for keys in URL encoding, and 4.9.2 compares those with the token as
it is: of keys with = in them, only the first page is listed. Fixed in 4.14 (pull request 13746),
which Python 3.11 cannot run: it has syntax of 3.12."""


def server(cache: ServerCache, *, folder: Path, port: int) -> Server:
    """Return a LocalStack; what it writes is below `folder`, which is emptied at each start."""
    url = f"http://127.0.0.1:{port}"
    return Server(
        name="localstack",
        # -I: a PYTHONPATH of ours must not lead to other packages than its own.
        command=(str(program(cache.localstack)), "-I", "-m", "localstack.runtime.main"),
        port=port,
        url=url,
        is_ready=lambda: is_ready(url),
        prepare=lambda: prepare(cache, folder),
        environment=environment(folder, port),
    )


class _Health(msgspec.Struct):
    """What LocalStack says of its services, by name."""

    services: dict[str, str]


def is_ready(url: str) -> bool:
    """Return whether it says that it offers S3 and Kinesis; it loads them when first asked."""
    body = fetch(f"{url}/_localstack/health")
    try:
        services = msgspec.json.decode(body, type=_Health).services if body else {}
    except msgspec.MsgspecError:  # another server, or not yet an answer
        return False
    return all(services.get(name) in ("available", "running") for name in ("s3", "kinesis"))


def prepare(cache: ServerCache, folder: Path) -> None:
    """Empty its folder, and put the Kinesis server where LocalStack looks for it."""
    kinesis.node()  # LocalStack itself would only say so at the first request
    if folder.exists():
        shutil.rmtree(folder)
    found = folder / "usr" / "lib" / "localstack" / kinesis.PACKAGE / KINESIS_VERSION
    for made in (found.parent, folder / "tmp"):
        made.mkdir(parents=True)
    found.symlink_to(kinesis_folder(cache.localstack).resolve())
    kinesis.prepare(preload(folder))


def environment(folder: Path, port: int) -> dict[str, str]:
    """Return the server's settings, all of them environment variables."""
    address = f"127.0.0.1:{port}"
    return {
        "GATEWAY_LISTEN": address,
        "LOCALSTACK_HOST": address,
        # Its usual one, twisted, ignores the address and binds all (localstack/runtime/server).
        "GATEWAY_SERVER": "hypercorn",
        # On some machines it takes itself for a container, and then writes into /var/lib and /etc.
        "OVERRIDE_IN_DOCKER": "0",
        "FILESYSTEM_ROOT": str(folder),
        "CONFIG_DIR": str(folder / "config"),
        "HOME": str(folder),
        "XDG_CACHE_HOME": str(folder / "cache"),
        "TMPDIR": str(folder / "tmp"),
        # Without these it fetches a certificate, reports its use, and answers DNS.
        "SKIP_SSL_CERT_DOWNLOAD": "1",
        "DISABLE_EVENTS": "1",
        "DNS_ADDRESS": "0",
        # Of the Kinesis server, which binds all addresses too.
        "NODE_OPTIONS": f'--require "{preload(folder)}"',
        "KINESIS_LATENCY": kinesis.CHANGE.removesuffix("ms"),
        "KINESIS_PERSISTENCE": "0",
        "KINESIS_SHARD_LIMIT": str(kinesis.SHARD_LIMIT),
        "LS_LOG": "warn",
    }


def preload(folder: Path) -> Path:
    """Return the path of the script that Node runs before the Kinesis server."""
    return folder / "loopback.cjs"


def program(installed: Path) -> Path:
    """Return the Python of LocalStack's environment."""
    return installed / "environment" / "bin" / "python"


def kinesis_folder(installed: Path) -> Path:
    """Return the folder that npm installed the Kinesis server into."""
    return installed / "kinesis"


def version() -> str:
    """Return the version of LocalStack in the lock."""
    match = re.search(r"^localstack-core==(\S+)", PACKAGES.read_text("utf-8"), re.MULTILINE)
    if match is None:
        raise UserError(f"{PACKAGES} has no localstack-core: make lock")
    return match.group(1)


def install(folder: Path) -> None:
    """Install LocalStack and its Kinesis server into `folder`, what is downloaded by its hash.

    Three packages have no wheel; pip builds them with the newest setuptools.

    Raises:
        UserError: pip or npm can't fetch a package, or it has another hash; with what they said.
    """
    shutil.rmtree(folder, ignore_errors=True)
    place = program(folder).parents[1]
    run([sys.executable, "-m", "venv", str(place)])
    packages = ("--require-hashes", "-r", str(PACKAGES))
    try:
        run(
            [str(program(folder)), "-I", "-m", "pip", "install", "--quiet", "--no-input",
             "--disable-pip-version-check", *packages]
        )  # fmt: skip
    except UserError as error:
        raise UserError(
            f"pip could not install LocalStack {version()} from {PACKAGES}. Is the package index"
            f" reachable from here? Only LocalStack's tests and `make demo AWS=localstack` need it."
            f"\n{error}"
        ) from None
    list_every_page(place / _S3)
    package = npm.install(
        kinesis_folder(folder), kinesis.PACKAGE, KINESIS_VERSION, KINESIS_INTEGRITY
    )
    keep_hashes(package / "main.js")


def keep_hashes(main: Path) -> None:
    """Patch one expression in our copy of its Kinesis server; UserError if it is missing."""
    _patch(main, _OF_A_RECORD, _OF_A_RECORD.replace(RECORD_HASH, RECORD_HASH_KEPT))


def list_every_page(provider: Path) -> None:
    """Patch one comparison in our copy of its S3; UserError if it is missing."""
    _patch(provider, _LISTING, _LISTING_DECODED)


def _patch(file: Path, before: str, after: str) -> None:
    text = file.read_text("utf-8")
    if text.count(before) != 1:
        raise UserError(f"{file} differs from the one that {Path(__file__).name} was written for")
    file.write_text(text.replace(before, after), "utf-8")


def inputs() -> str:
    """Return what the installation is made from."""
    return "\n".join(
        (
            *(PACKAGES.read_text("utf-8"), KINESIS_VERSION, KINESIS_INTEGRITY),
            *(RECORD_HASH_KEPT, _LISTING_DECODED),
        )
    )

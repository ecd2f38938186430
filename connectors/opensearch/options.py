"""Options of the OpenSearch cluster that holds the index."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from msgspec import Meta

from connectors.errors import UserError
from connectors.options import Positive, Seconds, Section, Url, doc

_INDEX_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,127}")


class Index(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """OpenSearch, one index per event type. Effectively once: deterministic id and version."""

    url: Annotated[Url, doc("https://host:port of the cluster; plain http for loopback only.")]
    allow_plaintext: Annotated[
        bool, doc("Allow http to a cluster beyond 127.0.0.1: anyone on the way can read.")
    ] = False
    prefix: Annotated[
        Annotated[str, Meta(pattern=r"^([a-z][a-z0-9_-]{0,63})?$")],
        doc("Put before the event type to make the index name."),
    ] = ""
    auth: Annotated[Literal["none", "basic", "sigv4"], doc("How requests prove who we are.")] = (
        "none"
    )
    username: Annotated[str, doc("For basic.")] = ""
    password: Annotated[
        str, doc("For basic; give ${env:NAME} or ${file:/path}, never the text itself.")
    ] = ""
    region: Annotated[str, doc("AWS region, for sigv4.")] = ""
    service: Annotated[
        Literal["es", "aoss"], doc("es: OpenSearch Service; aoss: Serverless. For sigv4.")
    ] = "es"
    ca_file: Annotated[str, doc("Certificates to trust besides the system's; TLS is verified.")] = (
        ""
    )
    timeout_seconds: Annotated[Seconds, doc("Of one bulk request.")] = 10.0
    max_documents: Annotated[Annotated[int, Meta(ge=1, le=10_000)], doc("Of one bulk request.")] = (
        1000
    )
    max_bytes: Annotated[
        Annotated[int, Meta(ge=10_000, le=10_000_000)], doc("Of one bulk request.")
    ] = 5_000_000
    retry_seconds: Annotated[
        Seconds,
        doc("After so long without success the events become dead letters, index_unavailable."),
    ] = 30.0
    breaker_seconds: Annotated[
        Seconds, doc("How long a cluster that stayed away is not asked again but by one probe.")
    ] = 30.0
    shards: Annotated[Positive, doc("Primary shards of an index that we make.")] = 1
    replicas: Annotated[Annotated[int, Meta(ge=0)], doc("Replicas of an index that we make.")] = 0
    refresh_interval: Annotated[
        Annotated[str, Meta(pattern=r"^(-1|\d+(ms|s|m))$")], doc("Of an index that we make.")
    ] = "1s"
    compress: Annotated[bool, doc("Send bulk requests compressed with gzip.")] = False


def index_name(prefix: str, event_type: str) -> str:
    """Return the name of an event type's index.

    OpenSearch itself would accept `.security`, `<trip-{now/d}>` or `é` from an event; only names
    without a special meaning are allowed here.
    """
    name = prefix + event_type
    if not _INDEX_NAME.fullmatch(name):
        raise UserError(
            f"{name!r} (index.prefix {prefix!r} + event type {event_type!r}) is no index name: "
            "allowed are a-z, 0-9, _ and -, at most 128, beginning with a letter or digit"
        )
    return name

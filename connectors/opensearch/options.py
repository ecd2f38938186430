"""Options of the OpenSearch cluster that holds the index."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from msgspec import Meta

from connectors.errors import UserError
from connectors.options import (
    OptionalLine,
    OptionalLocalPath,
    OptionalRegion,
    Seconds,
    Section,
    Url,
    doc,
    whole,
)

_INDEX_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,127}")


class Index(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """OpenSearch, one index per event type. Effectively once, by document id and version."""

    url: Annotated[Url, doc("https://host:port of the cluster. http is for 127.0.0.1 only.")]
    allow_plaintext: Annotated[
        bool,
        doc("Allow unencrypted http beyond 127.0.0.1. Anyone on the network can read the traffic."),
    ] = False
    prefix: Annotated[
        Annotated[
            str,
            whole(r"(?:[a-z][a-z0-9_-]{0,63})?", "up to 64 of a-z, 0-9, - and _, first a letter"),
        ],
        doc("Index name is this prefix and the event type."),
    ] = ""
    auth: Annotated[
        Literal["none", "basic", "sigv4"],
        doc("How to authenticate: none, basic (user and password), or sigv4 (AWS IAM)."),
    ] = "none"
    username: Annotated[OptionalLine, doc("For basic.")] = ""
    password: Annotated[
        OptionalLine, doc("For basic. Use ${env:NAME} or ${file:/path}, never the password itself.")
    ] = ""
    region: Annotated[OptionalRegion, doc("For sigv4: AWS region.")] = ""
    service: Annotated[
        Literal["es", "aoss"],
        doc("es: OpenSearch Service. aoss: OpenSearch Serverless, a collection of type SEARCH."),
    ] = "es"
    ca_file: Annotated[
        OptionalLocalPath,
        doc("CA certificates to trust besides the system's. TLS certificates are always verified."),
    ] = ""
    timeout_seconds: Annotated[Seconds, doc("Timeout of a bulk request.")] = 10.0
    max_documents: Annotated[
        Annotated[int, Meta(ge=1, le=10_000)], doc("Maximum number of documents in a bulk request.")
    ] = 1000
    max_bytes: Annotated[
        Annotated[int, Meta(ge=10_000, le=10_000_000)], doc("Maximum size of a bulk request.")
    ] = 5_000_000
    retry_seconds: Annotated[
        Seconds,
        doc(
            "How long to retry without success before events become dead letters, "
            "index_unavailable."
        ),
    ] = 30.0
    breaker_seconds: Annotated[
        Seconds, doc("How long the circuit breaker stays open before a trial request.")
    ] = 30.0
    shards: Annotated[
        Annotated[int, Meta(ge=1, le=1024)], doc("Primary shards of an index that the job creates.")
    ] = 1
    replicas: Annotated[
        Annotated[int, Meta(ge=0, le=1000)], doc("Replicas of an index that the job creates.")
    ] = 0
    refresh_interval: Annotated[
        Annotated[str, whole(r"-1|[0-9]{1,9}(?:ms|s|m)", "-1 or a time such as 1s, 500ms, 2m")],
        doc("Refresh interval of an index that the job creates."),
    ] = "1s"
    compress: Annotated[bool, doc("Send bulk requests compressed with gzip.")] = False


def index_name(prefix: str, event_type: str) -> str:
    """Return the name of an event type's index.

    OpenSearch would accept `.security`, `<trip-{now/d}>` or `é`; only names without a special
    meaning are allowed.
    """
    name = prefix + event_type
    if not _INDEX_NAME.fullmatch(name):
        raise UserError(
            f"{name!r} (index.prefix {prefix!r} + event type {event_type!r}) is not an index name: "
            "use a-z, 0-9, _ and -, at most 128 characters, beginning with a letter or digit"
        )
    return name

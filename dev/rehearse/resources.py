"""Create the template's bucket and streams on the local servers, property by property.

The local servers do not know everything that AWS does. What they refuse is no failure of the
rehearsal: the result of each property is reported.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from botocore.exceptions import ClientError

from dev.servers import kinesis

Put = Callable[[Any, str, Any], object]


@dataclass(frozen=True, slots=True)
class Made:
    """What became of one property of a resource; `refused` is the server's code, or empty."""

    resource: str
    what: str
    refused: str = ""

    def sentence(self) -> str:
        """Describe it for the report."""
        became = f"refused ({self.refused})" if self.refused else "taken"
        return f"{self.resource} {self.what}: {became}"


def make_bucket(client: Any, properties: Mapping[str, Any]) -> list[Made]:
    """Create the bucket and set each property that S3 has a call for."""
    name = properties["BucketName"]
    client.create_bucket(Bucket=name)
    results = [Made(name, "BucketName")]
    for key, put in _BUCKET.items():
        results.append(Made(name, key, _refusal(partial(put, client, name, properties[key]))))
    return results


def make_stream(client: Any, properties: Mapping[str, Any]) -> list[Made]:
    """Create the stream, wait until it is active, and set the remaining properties."""
    name, mode = properties["Name"], properties["StreamModeDetails"]
    on_demand = _refusal(lambda: client.create_stream(StreamName=name, StreamModeDetails=mode))
    if on_demand:
        client.create_stream(StreamName=name, ShardCount=2)
    kinesis.wait_until_active(client, name)
    results = [Made(name, mode["StreamMode"], on_demand)]
    for key, put in _STREAM.items():
        results.append(Made(name, key, _refusal(partial(put, client, name, properties[key]))))
        kinesis.wait_until_active(client, name)
    return results


def lifecycle(rules: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return CloudFormation's lifecycle rules in S3's terms."""
    return [_rule(rule) for rule in rules]


def _rule(rule: Mapping[str, Any]) -> dict[str, Any]:
    converted: dict[str, Any] = {"ID": rule["Id"], "Status": rule["Status"]}
    converted["Filter"] = {"Prefix": rule.get("Prefix", "")}
    if "ExpirationInDays" in rule:
        converted["Expiration"] = {"Days": int(rule["ExpirationInDays"])}
    if "AbortIncompleteMultipartUpload" in rule:
        days = rule["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"]
        converted["AbortIncompleteMultipartUpload"] = {"DaysAfterInitiation": int(days)}
    if "NoncurrentVersionExpiration" in rule:
        days = rule["NoncurrentVersionExpiration"]["NoncurrentDays"]
        converted["NoncurrentVersionExpiration"] = {"NoncurrentDays": int(days)}
    return converted


def _encryption(client: Any, name: str, value: Mapping[str, Any]) -> object:
    declared = value["ServerSideEncryptionConfiguration"]
    rules = [
        {"ApplyServerSideEncryptionByDefault": rule["ServerSideEncryptionByDefault"]}
        for rule in declared
    ]
    return client.put_bucket_encryption(
        Bucket=name, ServerSideEncryptionConfiguration={"Rules": rules}
    )


def _metrics(client: Any, name: str, value: list[Mapping[str, Any]]) -> object:
    (metrics,) = value
    return client.put_bucket_metrics_configuration(
        Bucket=name, Id=metrics["Id"], MetricsConfiguration={"Id": metrics["Id"]}
    )


_BUCKET: Final[Mapping[str, Put]] = {
    "BucketEncryption": _encryption,
    "PublicAccessBlockConfiguration": lambda client, name, value: client.put_public_access_block(
        Bucket=name, PublicAccessBlockConfiguration=value
    ),
    "OwnershipControls": lambda client, name, value: client.put_bucket_ownership_controls(
        Bucket=name, OwnershipControls=value
    ),
    "VersioningConfiguration": lambda client, name, value: client.put_bucket_versioning(
        Bucket=name, VersioningConfiguration=value
    ),
    "LifecycleConfiguration": lambda client, name, value: client.put_bucket_lifecycle_configuration(
        Bucket=name, LifecycleConfiguration={"Rules": lifecycle(value["Rules"])}
    ),
    "MetricsConfigurations": _metrics,
    "NotificationConfiguration": lambda client, name, value: (
        client.put_bucket_notification_configuration(
            Bucket=name, NotificationConfiguration={"EventBridgeConfiguration": {}}
        )
    ),
}
_STREAM: Final[Mapping[str, Put]] = {
    "RetentionPeriodHours": lambda client, name, value: client.increase_stream_retention_period(
        StreamName=name, RetentionPeriodHours=int(value)
    ),
    "StreamEncryption": lambda client, name, value: client.start_stream_encryption(
        StreamName=name, **value
    ),
}


def _refusal(call: Callable[[], object]) -> str:
    """Return the server's error code; empty if it accepted."""
    try:
        call()
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return ""

"""What each role of the template must be allowed, and which part of the code asks for it.

The policy test holds the template to this table in both directions: every need is granted, and
nothing is granted that is not here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_ARN = "arn:aws"
_HERE = "eu-west-1:123456789012"
BUCKET: Final = "arn:aws:s3:::streaming-etl-123456789012-eu-west-1"
PACKAGE: Final = "arn:aws:s3:::packages/streaming-etl.zip"
SOURCE: Final = f"{_ARN}:kinesis:{_HERE}:stream/streaming-etl-trips"
LETTERS: Final = f"{_ARN}:kinesis:{_HERE}:stream/streaming-etl-dead-letters"
DOMAIN: Final = f"{_ARN}:es:{_HERE}:domain/streaming-etl/trip/_search"
POINT_IN_TIME: Final = f"{_ARN}:es:{_HERE}:domain/streaming-etl/_search/point_in_time"
LOGS: Final = f"{_ARN}:logs:{_HERE}:log-group:/aws/kinesis-analytics/streaming-etl"
TOOLS_LOGS: Final = f"{_ARN}:logs:{_HERE}:log-group:/ecs/streaming-etl"
CLUSTER: Final = f"{_ARN}:kafka:{_HERE}:cluster/events/0f1e-2"
TOPIC: Final = f"{_ARN}:kafka:{_HERE}:topic/events/0f1e-2/trips"
TRANSACTION: Final = (
    f"{_ARN}:kafka:{_HERE}:transactional-id/events/0f1e-2/streaming-etl-redrive-trips"
)
GROUP: Final = f"{_ARN}:kafka:{_HERE}:group/events/0f1e-2/streaming-etl"
READER: Final = f"{_ARN}:kafka:{_HERE}:group/events/0f1e-2/streaming-etl-reader"
IMAGE: Final = f"{_ARN}:ecr:{_HERE}:repository/streaming-etl"
REDRIVE_KEY: Final = f"{_ARN}:secretsmanager:{_HERE}:secret:redrive-key-Ab12Cd"
KEY: Final = f"{_ARN}:kms:{_HERE}:key/1234"
SOURCE_KEY: Final = f"{_ARN}:kms:{_HERE}:key/5678"
INTERFACE: Final = f"{_ARN}:ec2:{_HERE}:network-interface/eni-1"
TASK: Final = f"{_ARN}:ecs:{_HERE}:task-definition/streaming-etl-tools:1"
ANY: Final = "*"

# Where AWS has no resource to name, and a policy must say `*`.
STARS: Final = {
    "logs:DescribeLogGroups": "lists groups, so it takes none",
    "ecr:GetAuthorizationToken": "a token is the registry's, not a repository's",
    "ec2:DescribeVpcs": "EC2's describe actions know no resource",
    "ec2:DescribeSubnets": "EC2's describe actions know no resource",
    "ec2:DescribeSecurityGroups": "EC2's describe actions know no resource",
    "ec2:DescribeDhcpOptions": "EC2's describe actions know no resource",
    "ec2:DescribeNetworkInterfaces": "EC2's describe actions know no resource",
}


@dataclass(frozen=True, slots=True)
class Need:
    """`role` does these actions on that resource, because `why`."""

    role: str
    resource: str
    actions: tuple[str, ...]
    why: str


def _need(role: str, resource: str, actions: str, why: str) -> Need:
    service, _, names = actions.partition(":")
    return Need(role, resource, tuple(f"{service}:{name}" for name in names.split()), why)


NEEDS: Final[tuple[Need, ...]] = (
    # the application
    _need("ApplicationRole", PACKAGE, "s3:GetObject GetObjectVersion", "the platform loads it"),
    _need("ApplicationRole", BUCKET, "s3:ListBucket GetBucketLocation", "S3A looks for folders"),
    *(
        _need("ApplicationRole", f"{BUCKET}/{folder}/x",
              "s3:GetObject PutObject DeleteObject AbortMultipartUpload ListMultipartUploadParts",
              "connectors/flink/filesystem.py: multipart uploads, recovered after a failure")
        for folder in ("archive", "lake", "large")
    ),
    _need("ApplicationRole", LOGS, "logs:DescribeLogStreams PutLogEvents", "its log"),
    _need("ApplicationRole", f"{LOGS}:log-stream:application",
          "logs:DescribeLogStreams PutLogEvents", "its log"),
    _need("ApplicationRole", ANY, "logs:DescribeLogGroups", "the platform looks for the group"),
    _need("ApplicationRole", SOURCE,
          "kinesis:DescribeStream DescribeStreamSummary GetRecords GetShardIterator ListShards",
          "connectors/kinesis/table.py, polling; admin.py before the start"),
    _need("ApplicationRole", LETTERS, "kinesis:DescribeStreamSummary PutRecords",
          "connectors/kinesis/table.py, envelope_table"),
    _need("ApplicationRole", CLUSTER, "kafka-cluster:Connect DescribeCluster",
          "connectors/kafka/table.py"),
    _need("ApplicationRole", TOPIC,
          "kafka-cluster:DescribeTopic DescribeTopicDynamicConfiguration ReadData",
          "connectors/kafka/table.py; admin.py asks for max.message.bytes"),
    _need("ApplicationRole", GROUP, "kafka-cluster:AlterGroup DescribeGroup",
          "offsets are committed at each checkpoint"),
    _need("ApplicationRole", DOMAIN, "es:ESHttpGet ESHttpPost ESHttpPut",
          "connectors/opensearch/client.py: mappings, _bulk, templates and indices"),
    _need("ApplicationRole", ANY,
          "ec2:DescribeVpcs DescribeSubnets DescribeSecurityGroups DescribeDhcpOptions"
          " DescribeNetworkInterfaces", "the platform joins the VPC"),
    _need("ApplicationRole", INTERFACE,
          "ec2:CreateNetworkInterface CreateNetworkInterfacePermission DeleteNetworkInterface",
          "the platform joins the VPC"),
    _need("ApplicationRole", KEY, "kms:Decrypt GenerateDataKey",
          "a multipart upload under a key needs both"),
    _need("ApplicationRole", SOURCE_KEY, "kms:Decrypt", "a stream of others has their key"),
    # the tools
    _need("ToolsExecutionRole", ANY, "ecr:GetAuthorizationToken", "ECS fetches the image"),
    _need("ToolsExecutionRole", IMAGE,
          "ecr:BatchCheckLayerAvailability BatchGetImage GetDownloadUrlForLayer",
          "ECS fetches the image"),
    _need("ToolsExecutionRole", TOOLS_LOGS, "logs:CreateLogStream PutLogEvents", "its log"),
    _need("ToolsExecutionRole", REDRIVE_KEY, "secretsmanager:GetSecretValue",
          "ECS sets the variable REDRIVE_KEY"),
    _need("ScheduleRole", TASK, "ecs:RunTask", "the daily reconciliation"),
    _need("ScheduleRole", "ToolsExecutionRole.Arn", "iam:PassRole", "to the task"),
    _need("ScheduleRole", "ReconcileRole.Arn", "iam:PassRole", "to the task"),
    *(
        _need("ReconcileRole", stream,
              "kinesis:DescribeStreamSummary GetRecords GetShardIterator ListShards",
              "connectors/kinesis/reader.py")
        for stream in (SOURCE, LETTERS)
    ),
    _need("ReconcileRole", BUCKET, "s3:ListBucket", "connectors/s3/store.py"),
    *(
        _need("ReconcileRole", f"{BUCKET}/{folder}/x", "s3:GetObject",
              "connectors/s3/store.py")
        for folder in ("archive", "lake", "large")
    ),
    _need("ReconcileRole", DOMAIN, "es:ESHttpPost",
          "pipeline/ops/reconcile/index.py"),
    _need("ReconcileRole", POINT_IN_TIME, "es:ESHttpDelete", "it closes its points in time"),
    *(
        _need("ReconcileRole", place,
              "kafka-cluster:Connect DescribeGroup DescribeTopic ReadData",
              "connectors/kafka/reader.py")
        for place in (CLUSTER, TOPIC, GROUP, READER)
    ),
    _need("ReconcileRole", KEY, "kms:Decrypt", "what it reads is encrypted"),
    _need("ReconcileRole", SOURCE_KEY, "kms:Decrypt", "a stream of others has their key"),
    _need("RedriveRole", LETTERS,
          "kinesis:DescribeStreamSummary GetRecords GetShardIterator ListShards",
          "pipeline/ops/dead_letters/reader.py"),
    _need("RedriveRole", SOURCE, "kinesis:DescribeStreamSummary ListShards PutRecords",
          "pipeline/ops/dead_letters/senders.py"),
    _need("RedriveRole", BUCKET, "s3:ListBucket", "redrive log and large records"),
    _need("RedriveRole", f"{BUCKET}/large/x", "s3:GetObject",
          "pipeline/ops/dead_letters/reader.py"),
    _need("RedriveRole", f"{BUCKET}/large/_redriven/x", "s3:GetObject PutObject",
          "pipeline/ops/dead_letters/redrive_log.py"),
    _need("RedriveRole", DOMAIN, "es:ESHttpGet ESHttpPost",
          "pipeline/ops/dead_letters/senders.py"),
    _need("RedriveRole", CLUSTER,
          "kafka-cluster:Connect DescribeCluster DescribeClusterDynamicConfiguration"
          " WriteDataIdempotently", "pipeline/ops/dead_letters/senders.py asks the limit"),
    _need("RedriveRole", TOPIC,
          "kafka-cluster:CreateTopic DescribeTopic DescribeTopicDynamicConfiguration ReadData"
          " WriteData", "connectors/kafka/transactions.py; admin.py creates the topic"),
    _need("RedriveRole", READER, "kafka-cluster:DescribeGroup",
          "connectors/kafka/reader.py names a group, which is looked up and never joined"),
    _need("RedriveRole", TRANSACTION, "kafka-cluster:AlterTransactionalId DescribeTransactionalId",
          "record and log entry in one transaction"),
    _need("RedriveRole", KEY, "kms:Decrypt GenerateDataKey", "it reads and writes"),
    _need("RedriveRole", SOURCE_KEY, "kms:GenerateDataKey", "records go to the stream"),
    _need("CompactRole", BUCKET, "s3:ListBucket", "connectors/s3/store.py"),
    _need("CompactRole", f"{BUCKET}/lake/x", "s3:GetObject PutObject DeleteObject",
          "connectors/s3/store.py: merged files, records, and what they replaced"),
    _need("CompactRole", KEY, "kms:Decrypt GenerateDataKey", "it reads and writes"),
    _need("ReplayRole", SOURCE, "kinesis:DescribeStreamSummary ListShards PutRecords",
          "connectors/kinesis/producer.py; watermarks go to every shard"),
    _need("ReplayRole", BUCKET, "s3:ListBucket", "pipeline/ops/replay/files.py"),
    *(
        _need("ReplayRole", f"{BUCKET}/{folder}/x", "s3:GetObject", "pipeline/ops/replay/files.py")
        for folder in ("history", "archive")
    ),
    *(
        _need("ReplayRole", place,
              "kafka-cluster:Connect DescribeTopic WriteData WriteDataIdempotently",
              "connectors/kafka/producer.py")
        for place in (CLUSTER, TOPIC, GROUP)
    ),
    _need("ReplayRole", KEY, "kms:Decrypt GenerateDataKey", "it reads and writes"),
    _need("ReplayRole", SOURCE_KEY, "kms:GenerateDataKey", "records go to the stream"),
)  # fmt: skip

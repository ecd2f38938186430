"""LocalStack as a process: our template's known part deployed, our connectors on it, and in what it
differs from AWS."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from connectors import aws
from connectors.errors import UserError
from connectors.kinesis import reader
from connectors.kinesis.aggregation import is_aggregated, unpacked
from connectors.kinesis.producer import KinesisProducer
from connectors.kinesis.table import Stream as KinesisStream
from connectors.producer import Outgoing
from connectors.s3.store import open_store
from dev.rehearse import cut, intrinsics
from dev.rehearse.deployed import NAMES, PARAMETERS, Deployed, deploy
from dev.servers import kinesis, layout, localstack, ports
from dev.servers.stack import Stack
from dev.templates.derived import TEMPLATE
from pipeline.config import load as load_config

ROOT = Path(__file__).parents[3]
NAME = "streaming-etl"
WHOLE = intrinsics.read(ROOT / TEMPLATE)


@pytest.fixture(scope="session")
def servers(localstack_stack: Stack) -> dict[str, str]:
    return localstack_stack.environment()


@pytest.fixture(scope="session")
def deployed(servers: dict[str, str]) -> Deployed:
    return deploy(ROOT, servers, NAME)


def client(service: str, servers: dict[str, str]) -> Any:
    region, endpoint = servers["AWS_REGION"], servers["LOCALSTACK_URL"]
    return aws.client(service, servers, region=region, endpoint=endpoint)


def refused(call: Any, **arguments: Any) -> str:
    """The code with which a call is refused."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return str(caught.value.response["Error"]["Code"])


def test_the_environment_leads_to_it(servers: dict[str, str]) -> None:
    url = servers["LOCALSTACK_URL"]
    assert servers["S3_ENDPOINT"] == servers["KINESIS_ENDPOINT"] == url
    assert {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"} < servers.keys()


def test_every_known_resource_is_made_and_nothing_else(deployed: Deployed) -> None:
    kept = deployed.part.template["Resources"]
    assert deployed.resources.keys() == kept.keys()
    assert {resource["Type"] for resource in kept.values()} <= cut.KNOWN
    assert kept.keys() | deployed.part.left_out.keys() == WHOLE["Resources"].keys()
    assert {"DataBucket", "DataBucketPolicy", "SourceStream", "ApplicationRole"} < kept.keys()
    assert sum(each["Type"] == "AWS::CloudWatch::Alarm" for each in kept.values()) > 20


def test_the_outputs_are_what_the_template_says(deployed: Deployed) -> None:
    here = {"AWS::AccountId": kinesis.ACCOUNT, "AWS::Region": "us-east-1"}
    parameters = {**PARAMETERS, "ApplicationName": NAME, **here}
    names = {
        name: deployed.resources[name]
        for name in ("DataBucket", "SourceStream", "DeadLetterStream")
    }
    expected = intrinsics.Stack(WHOLE, parameters, names)
    outputs = deployed.part.template["Outputs"]
    assert deployed.outputs == {
        name: expected.resolve(output["Value"]) for name, output in outputs.items()
    }
    assert deployed.outputs["Bucket"] == f"{NAME}-{kinesis.ACCOUNT}-us-east-1"


def test_the_configuration_takes_the_outputs(deployed: Deployed) -> None:
    file = ROOT / "conf" / "localstack.yaml"
    config = load_config.load(file, deployed.environment())
    assert config.source.kinesis_streams == (deployed.outputs["SourceStreamOut"],)
    assert config.archive and config.lake and config.dead_letters
    assert config.dead_letters.kinesis_stream == deployed.outputs["DeadLetters"]
    paths = (config.archive.path, config.lake.path, config.job.checkpoint_dir)
    assert all(str(path).startswith(f"s3a://{deployed.outputs['Bucket']}/") for path in paths)
    # Without them, it has the names of a stack with default parameters.
    assert load_config.load(file, {}) == config
    assert deployed.environment().keys() == NAMES.keys()


def test_our_store_keeps_its_contract_in_the_versioned_bucket(
    servers: dict[str, str], deployed: Deployed
) -> None:
    store = open_store(f"s3a://{deployed.outputs['Bucket']}/contract", servers)
    store.write("a b/c=1/x.bin", b"before")
    store.write("a b/c=1/x.bin", b"\x00after\xff")
    assert store.read("a b/c=1/x.bin") == b"\x00after\xff"
    assert [each.path for each in store.everything()] == ["a b/c=1/x.bin"]
    seen = store.version("a b/c=1/x.bin")
    assert store.replace("a b/c=1/x.bin", b"mine", seen)
    assert not store.replace("a b/c=1/x.bin", b"theirs", seen)
    assert not store.replace("a b/c=1/x.bin", b"theirs", None)
    store.delete("a b/c=1/x.bin")
    assert store.is_empty()


@pytest.mark.parametrize("aggregate", [False, True])
def test_our_producer_writes_what_our_reader_reads(
    servers: dict[str, str],
    deployed: Deployed,
    aggregate: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for variable, value in servers.items():
        monkeypatch.setenv(variable, value)
    name = deployed.outputs["SourceStreamOut"]
    stream = KinesisStream(name, servers["AWS_REGION"])
    client = reader.connect(stream, servers["KINESIS_ENDPOINT"], servers)
    assert list(reader.problem("source", stream, servers["KINESIS_ENDPOINT"])) == []
    producer = KinesisProducer(client, name, aggregate)
    sent = {f"{aggregate} {number}".encode() for number in range(1_000)}
    for raw in sorted(sent):
        producer.send(Outgoing(raw, raw))
    producer.flush()
    producer.close()
    assert producer.acknowledged_records == len(sent)

    found = [each for each in reader.records(client, name) if is_aggregated(each.data) == aggregate]
    read = [raw for each in found for raw in (unpacked(each.data) if aggregate else [each.data])]
    assert sorted(read) == sorted(sent)
    assert len({each.shard for each in found}) == int(PARAMETERS["SourceStreamShards"])


def test_only_this_machine_reaches_it(localstack_stack: Stack, deployed: Deployed) -> None:
    listeners = ports.listeners_of(localstack_stack.processes())
    assert len(listeners) >= 3  # itself, and both ports of its Kinesis server
    assert [each for each in listeners if not each.is_loopback] == []


def test_what_it_keeps_is_in_its_folder(localstack_stack: Stack, deployed: Deployed) -> None:
    folder = localstack_stack.run_dir / "localstack"
    assert (folder / "var" / "lib" / "localstack").is_dir()
    assert not any((folder / "config").glob("*.env"))


def test_what_it_takes_of_the_template_without_doing_it(
    servers: dict[str, str], deployed: Deployed
) -> None:
    """AWS does all of it. If this fails with a newer LocalStack, docs/local-servers.md is wrong."""
    bucket = deployed.outputs["Bucket"]
    s3, streams = client("s3", servers), client("kinesis", servers)
    get_lifecycle = s3.get_bucket_lifecycle_configuration
    assert refused(get_lifecycle, Bucket=bucket) == "NoSuchLifecycleConfiguration"
    assert "MetricsConfigurationList" not in s3.list_bucket_metrics_configurations(Bucket=bucket)
    for output in ("SourceStreamOut", "DeadLetters"):
        described = streams.describe_stream_summary(StreamName=deployed.outputs[output])
        summary = described["StreamDescriptionSummary"]
        assert summary["RetentionPeriodHours"] == 24
        assert summary["EncryptionType"] == "NONE"
    assert summary["StreamModeDetails"] == {"StreamMode": "ON_DEMAND"}
    assert summary["OpenShardCount"] == 1
    (group,) = client("logs", servers).describe_log_groups()["logGroups"]
    assert "retentionInDays" not in group


def test_what_it_does_of_the_template(servers: dict[str, str], deployed: Deployed) -> None:
    bucket, s3 = deployed.outputs["Bucket"], client("s3", servers)
    declared = WHOLE["Resources"]["DataBucket"]["Properties"]
    blocked = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    assert blocked == declared["PublicAccessBlockConfiguration"]
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    policy = json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])
    assert [statement["Sid"] for statement in policy["Statement"]] == ["OnlyOverTls"]
    # The policy denies what is not sent by TLS, as here; LocalStack does not enforce it.
    assert s3.list_objects_v2(Bucket=bucket)["Name"] == bucket


def test_it_refuses_references_of_resources_whose_condition_is_false(
    servers: dict[str, str],
) -> None:
    """The reason why `cut` evaluates conditions; AWS creates the one topic."""
    never = {"Type": "AWS::SNS::Topic", "Condition": "Never"}
    named = {"TopicName": {"Fn::GetAtt": ["First", "TopicName"]}}
    template = {
        "Conditions": {"Never": {"Fn::Equals": ["a", "b"]}},
        "Resources": {
            "First": never,
            "Second": {**never, "Properties": named},
            "Third": {"Type": "AWS::SNS::Topic"},
        },
    }
    create = client("cloudformation", servers).create_stack
    body = json.dumps(template)
    assert refused(create, StackName="refused", TemplateBody=body) == "ValidationError"
    assert refused(create, StackName="refused", TemplateBody=body) == "AlreadyExistsException"


def test_a_template_without_its_bucket_is_cut_further() -> None:
    part = cut.cut(WHOLE, {**PARAMETERS, "SourceStreamMode": "EXISTING"})
    assert part.left_out["SourceStream"] == "without MakesStream"
    assert part.left_out["Application"] == "unknown AWS::KinesisAnalyticsV2::Application"
    assert "SourceStreamOut" in part.template["Outputs"]
    assert sum(part.summary().values()) == len(part.left_out)
    for resource in part.template["Resources"].values():
        assert not set(cut.references(resource)) & part.left_out.keys()


def test_it_takes_the_place_of_s3_and_kinesis() -> None:
    assert layout.chosen(layout.ALL_SERVERS, ["localstack"]) == (
        "kafka", "opensearch", "flink", "localstack",
    )  # fmt: skip
    assert layout.chosen(["s3"], ["kinesis"]) == ("s3", "kinesis")


def test_without_packages_set_up_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(
        UserError, match=r"(?s)pip could not install LocalStack 4\.9\.2 from .*lock"
    ):
        localstack.install(tmp_path / "localstack")


@pytest.mark.parametrize("patch", [localstack.keep_hashes, localstack.list_every_page])
def test_another_program_is_not_patched(tmp_path: Path, patch: Callable[[Path], None]) -> None:
    file = tmp_path / "program"
    file.write_text("something else", "utf-8")
    with pytest.raises(UserError, match="differs from the one"):
        patch(file)
    assert file.read_text("utf-8") == "something else"

"""Bucket and streams are made by the template's properties; a refusal is told, not hidden."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from dev.rehearse.account import account
from dev.rehearse.resources import Made, lifecycle, make_bucket
from tests.deploy.stacks import ROOT
from tests.dev.rehearse.test_account import SERVERS

BUCKET = account(ROOT, SERVERS).properties("DataBucket")


@dataclass
class SmallS3:
    """A server that knows buckets and their versions, and nothing else."""

    took: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __getattr__(self, name: str) -> Callable[..., None]:
        def call(**given: Any) -> None:
            if name not in ("create_bucket", "put_bucket_versioning"):
                raise ClientError({"Error": {"Code": "NotImplemented"}}, name)
            self.took[name] = given

        return call


def test_what_is_refused_comes_back_with_its_code() -> None:
    server = SmallS3()
    made = {each.what: each.refused for each in make_bucket(server, BUCKET)}
    assert made.pop("BucketName") == made.pop("VersioningConfiguration") == ""
    assert set(made.values()) == {"NotImplemented"}
    assert server.took["put_bucket_versioning"]["VersioningConfiguration"] == {"Status": "Enabled"}


def test_every_property_of_the_bucket_is_tried() -> None:
    assert {each.what for each in make_bucket(SmallS3(), BUCKET)} == set(BUCKET)


def test_lifecycle_rules_are_s3_s_own() -> None:
    rules = {each["ID"]: each for each in lifecycle(BUCKET["LifecycleConfiguration"]["Rules"])}
    abort = rules["abort-unfinished-uploads"]
    assert abort["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 14}
    assert rules["expire-archive"]["Filter"] == {"Prefix": "archive/"}
    assert rules["expire-archive"]["Expiration"] == {"Days": 400}
    assert rules["expire-old-versions"]["NoncurrentVersionExpiration"] == {"NoncurrentDays": 30}


def test_a_sentence_says_what_became_of_it() -> None:
    assert Made("b", "Versioning").sentence() == "b Versioning: taken"
    assert Made("b", "Versioning", "NoSuchKey").sentence() == "b Versioning: refused (NoSuchKey)"

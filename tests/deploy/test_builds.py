"""Builds: everything missing is reported in one message, what is current is left alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectors.errors import UserError
from dev.servers.setup import pom_property
from pipeline.deploy import builds
from pipeline.deploy.builds import Cache, Prerequisite, java_major, require


def test_everything_missing_is_told_at_once() -> None:
    missing = [Prerequisite(lambda: "no java", "get java"), Prerequisite(lambda: None, "fine")]

    with pytest.raises(UserError) as caught:
        require(*missing, Prerequisite(lambda: "no maven", "get maven"))

    message = str(caught.value)
    assert "no java\n    get java" in message
    assert "no maven\n    get maven" in message
    assert "fine" not in message


@pytest.mark.parametrize(
    ("shown", "major"),
    [
        ('openjdk version "17.0.15" 2025-04-15', 17),
        ('java version "1.8.0_402"', 8),
        ('openjdk version "21" 2023-09-19', 21),
        ("command not understood", None),
    ],
)
def test_java_s_version_is_understood(shown: str, major: int | None) -> None:
    assert java_major(shown) == major


def test_part_is_current_until_its_inputs_or_its_output_change(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    output = tmp_path / "thing"
    part = builds.Part("thing", "making it", "version 1", output, output.touch)
    assert not builds.is_current(cache, part)

    part.build()
    builds.write_stamp(cache, part)

    assert builds.is_current(cache, part)
    newer = builds.Part("thing", "making it", "version 2", output, output.touch)
    assert not builds.is_current(cache, newer)
    output.unlink()
    assert not builds.is_current(cache, part)


def test_failing_build_command_shows_the_end_of_what_it_said() -> None:
    with pytest.raises(UserError, match="failed with exit code 3:\nno network"):
        builds.run(["sh", "-c", "echo no network; exit 3"])


def test_folder_that_is_no_checkout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not a checkout"):
        builds.setup_connectors(tmp_path, say=print)


def test_pom_property_that_is_missing_is_named() -> None:
    assert pom_property("<a.version>v1</a.version>", "a.version") == "v1"
    with pytest.raises(UserError, match=r"no property b\.version"):
        pom_property("<a.version>v1</a.version>", "b.version")

"""What stands in for the platform says what the platform would."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from connectors.errors import UserError
from dev.rehearse import as_platform
from dev.servers.cache import ServerCache
from dev.servers.setup import setup
from pipeline.config import load as load_config
from pipeline.config.model import PLATFORM_KEYS
from pipeline.deploy.package.build import RUN_OPTIONS

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("name", ["local-both", "docker"])
def test_groups_say_what_the_file_says(name: str, tmp_path: Path) -> None:
    sections: dict[str, Any] = yaml.safe_load((ROOT / "conf" / f"{name}.yaml").read_text())
    sections["job"] = {k: v for k, v in sections["job"].items() if k not in PLATFORM_KEYS}
    groups = as_platform.property_groups(sections)
    assert groups[0] == RUN_OPTIONS
    with as_platform.placed(groups, tmp_path / "etc" / "flink" / "properties.json") as path:
        from_groups = load_config.load_property_groups(path)
    sections["job"]["checkpoint_timeout_seconds"] = None
    assert from_groups == load_config.check(sections, where=name)


def test_the_place_is_left_as_it_was(tmp_path: Path) -> None:
    place = tmp_path / "etc" / "flink" / "properties.json"
    with as_platform.placed([], place):
        assert json.loads(place.read_text()) == []
        with pytest.raises(UserError, match="no such file there"), as_platform.placed([], place):
            pass
        assert place.exists()
    assert list(tmp_path.iterdir()) == []


def test_flinks_client_there_has_no_connectors(tmp_path: Path) -> None:
    """A script in java's place tells the class path of the client, and lets all else run."""
    jar = setup(ROOT, say=print).connectors_jar.name
    flink_home = ServerCache(as_platform.bare_checkout(ROOT, tmp_path / "root")).flink_home
    java = tmp_path / "java" / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text(
        '#!/bin/sh\ncase "$*" in *CliFrontend*) echo "$@" ;;'
        f' *) exec {shutil.which("java")} "$@" ;; esac\n'
    )
    java.chmod(0o755)
    done = subprocess.run(
        [flink_home / "bin" / "flink", "list"],
        env={"PATH": os.environ["PATH"], "JAVA_HOME": str(java.parents[1])},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert f"{flink_home}/lib/flink-dist-" in done.stdout
    assert jar not in done.stdout

"""docker-compose.yml and what it mounts agree with each other and with conf/docker.yaml.

No engine is needed for this; the file is loaded by the library of `docker compose config`.
"""

from __future__ import annotations

import re
import shlex
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from connectors.errors import UserError
from dev.servers import (
    compose_file,
    container,
    flink_settings,
    kafka,
    localstack,
    metrics_server,
    prerequisites,
    prometheus,
    s3,
)
from pipeline.config import load as load_config
from pipeline.ops.replay.targets import TargetOptions, choose
from tests.test_docs import is_ours

ROOT = Path(__file__).parents[3]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (ROOT / "conf" / "docker" / "Dockerfile").read_text()
ENVIRONMENT = SERVICES["jobmanager"]["environment"]


@pytest.fixture(autouse=True)
def no_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """A submitted job leaves its servers' addresses in the environment; here compose's count."""
    for name in ("KAFKA_BOOTSTRAP_SERVERS", "KINESIS_ENDPOINT", "AWS_REGION", "OPENSEARCH_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def loader() -> Path:
    """The loader of docker compose; its first build takes half a minute."""
    if problem := prerequisites.go_problem():
        pytest.skip(problem)
    return compose_file.setup(ROOT, say=print)


def test_the_loader_of_docker_compose_takes_it(loader: Path) -> None:
    compose_file.check(loader, ROOT / "docker-compose.yml")


@pytest.mark.parametrize(
    ("good", "bad", "told"),
    [
        ("    healthcheck:", "    healthchek:", "'healthchek' not allowed"),
        ("interval: 5s", "interval: [5]", "must be a string"),
        ("interval: 5s", "interval: soon", 'invalid duration "soon"'),
        ("127.0.0.1:4566:4566", "127.0.0.1:4566:x", "Invalid containerPort: x"),
        ("kafka: {condition:", "kafkaa: {condition:", 'depends on undefined service "kafkaa"'),
        ("\n  history:\n", "\n  hist:\n", "undefined volume history"),
        ("${FLINK_PROPERTIES:-}", "${FLINK_PROPERTIES:-", "invalid interpolation format"),
    ],
)
def test_a_mistake_in_it_is_told(
    loader: Path, tmp_path: Path, good: str, bad: str, told: str
) -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    damaged = tmp_path / "docker-compose.yml"
    damaged.write_text(text.replace(good, bad))
    assert damaged.read_text() != text
    with pytest.raises(UserError) as caught:
        compose_file.check(loader, damaged)
    assert told in str(caught.value)


def test_every_published_port_is_on_loopback() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert len(ports) == 7
    assert [port for port in ports if not re.fullmatch(r"127\.0\.0\.1:(\d+):\1", port)] == []


def test_every_image_has_a_version() -> None:
    images = [service["image"] for service in SERVICES.values()]
    images += re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    floating = [image for image in images if not re.search(r":v?\d+\.\d+", image)]
    assert set(floating) == {"streaming-etl:local"}


def test_localstack_is_the_version_that_the_tests_run() -> None:
    assert SERVICES["localstack"]["image"] == f"localstack/localstack:{localstack.version()}"


def test_what_stays_up_has_a_health_check_and_the_rest_is_on_request() -> None:
    on_request = {name for name, each in SERVICES.items() if "profiles" in each}
    assert on_request == {"prepare", "job", "tools"}
    assert {name for name, each in SERVICES.items() if "healthcheck" not in each} == on_request


def test_whom_a_service_waits_for_is_there_and_has_a_health_check() -> None:
    for service in SERVICES.values():
        for name, asked in service.get("depends_on", {}).items():
            assert asked == {"condition": "service_healthy"}
            assert "healthcheck" in SERVICES[name]


def test_the_configuration_names_the_services(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KAFKA_BOOTSTRAP_SERVERS", "KINESIS_ENDPOINT", "OPENSEARCH_URL"):
        monkeypatch.delenv(name, raising=False)
    config = load_config.load(ROOT / "conf" / "docker.yaml")
    assert config.index
    load_config.event_types(config)
    kafka = SERVICES["kafka"]["environment"]
    listeners = f"PLAINTEXT://{config.cluster('').bootstrap_servers},"
    assert kafka["KAFKA_ADVERTISED_LISTENERS"].startswith(listeners)
    assert ENVIRONMENT["S3_ENDPOINT"] == config.kinesis.endpoint
    for url in (config.kinesis.endpoint, config.index.url):
        host, port = urlsplit(url).hostname, urlsplit(url).port
        assert f"127.0.0.1:{port}:{port}" in SERVICES[str(host)]["ports"]


def test_the_throw_away_keys_are_the_same_everywhere() -> None:
    assert s3.CREDENTIALS.items() <= ENVIRONMENT.items()
    assert ENVIRONMENT["REDRIVE_KEY"] == kafka.REDRIVE_KEY


def test_a_redrive_can_be_signed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDRIVE_KEY", ENVIRONMENT["REDRIVE_KEY"])
    for name in ("docker", "local", "local-both"):
        assert load_config.load(ROOT / "conf" / f"{name}.yaml").redrive_key == kafka.REDRIVE_KEY


def test_flink_s_processes_get_named_variables_and_keys_in_a_file(tmp_path: Path) -> None:
    given = {
        **ENVIRONMENT,
        "PATH": "/bin",
        "DATABASE_URL": "postgres://etl:of-the-shell@db",
        "FLINK_PROPERTIES": "some.password: of-the-shell",
        "FLINK_FOLDER": str(tmp_path),
    }
    environment = container.server_environment(container.write_configuration(given))

    assert "of-the-shell" not in str(environment)
    assert ENVIRONMENT["AWS_SECRET_ACCESS_KEY"] not in environment.values()
    profile = Path(environment["AWS_SHARED_CREDENTIALS_FILE"])
    assert profile.stat().st_mode & 0o777 == 0o600
    assert profile.read_text().splitlines() == [
        "[default]",
        f"aws_access_key_id = {ENVIRONMENT['AWS_ACCESS_KEY_ID']}",
        f"aws_secret_access_key = {ENVIRONMENT['AWS_SECRET_ACCESS_KEY']}",
    ]
    for name in ("log4j-console.properties", "log4j-cli.properties"):
        text = (tmp_path / "conf" / name).read_text()
        assert "DefaultJobBundleFactory\n" in text
        assert "logger.pythonworkers.level = OFF\n" in text


def test_flink_is_set_as_the_local_cluster_is() -> None:
    made = container.settings(Path("/tmp/flink"), {"S3_ENDPOINT": ENVIRONMENT["S3_ENDPOINT"]})
    for same in (
        flink_settings.memory_settings(container.SLOTS),
        flink_settings.failure_settings(),
        flink_settings.s3_settings("http://localstack:4566"),
    ):
        assert same.items() <= made.items()
    assert made["rest.address"] == made["jobmanager.rpc.address"] == "jobmanager"
    assert "jobmanager" in SERVICES


def test_flink_has_the_reporter_that_pushes() -> None:
    made = container.settings(Path("/tmp/flink"), {"S3_ENDPOINT": ENVIRONMENT["S3_ENDPOINT"]})
    name = made["metrics.reporter.prometheus.factory.class"].replace(".", "/") + ".class"
    (jar,) = (ROOT / ".cache" / "flink" / "plugins" / "metrics-prometheus").glob("*.jar")
    with zipfile.ZipFile(jar) as classes:
        assert name in classes.namelist()


def test_prometheus_asks_the_service_that_flink_pushes_to() -> None:
    found = yaml.safe_load((ROOT / "conf" / "docker" / "prometheus.yml").read_text())
    (config,) = found["scrape_configs"]
    (targets,) = (each["targets"] for each in config["static_configs"])
    address = urlsplit(container.METRICS_URL)
    assert targets == [address.netloc]
    service = SERVICES[str(address.hostname)]
    assert service["command"] == [str(address.port), "0.0.0.0"]
    assert service["entrypoint"] == ["python", "-m", metrics_server.__name__]


def test_prometheus_finds_the_rules() -> None:
    (rules,) = yaml.safe_load((ROOT / "conf" / "docker" / "prometheus.yml").read_text())[
        "rule_files"
    ]
    mounts = dict(reversed(volume.split(":")[:2]) for volume in SERVICES["prometheus"]["volumes"])
    assert mounts[rules] == f"./{prometheus.RULES}"


def test_grafana_finds_its_datasource_and_the_folder_of_the_board() -> None:
    provisioning = ROOT / "conf" / "docker" / "grafana"
    (source,) = yaml.safe_load((provisioning / "datasources" / "prometheus.yml").read_text())[
        "datasources"
    ]
    assert f"127.0.0.1:{urlsplit(source['url']).port}" in SERVICES["prometheus"]["ports"][0]
    (provider,) = yaml.safe_load((provisioning / "dashboards" / "streaming-etl.yml").read_text())[
        "providers"
    ]
    mounts = dict(reversed(volume.split(":")[:2]) for volume in SERVICES["grafana"]["volumes"])
    assert mounts[provider["options"]["path"]] == "./conf/grafana"
    assert mounts["/etc/grafana/provisioning"] == "./conf/docker/grafana"


def test_what_is_copied_into_the_image_is_there_and_not_ignored() -> None:
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE)
    names = [name.rstrip("/") for line in copied for name in line.split()]
    assert {"pipeline", "connectors", "dev", "schemas", "conf"} <= set(names)
    kept = re.findall(r"^!(\S+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE)
    for name in names:
        assert (ROOT / name).exists(), name
        assert name.split("/")[0] in kept, name


def test_mistakes_in_the_environment_are_told() -> None:
    with pytest.raises(UserError, match="S3_ENDPOINT is not set"):
        container.settings(Path("/tmp/flink"), {})
    with pytest.raises(UserError, match="must be lines of key: value, it is one str"):
        container.overrides("just text")
    with pytest.raises(UserError, match="not YAML from line 2 on") as caught:
        container.overrides("a: b\ns3.secret-key: @of-the-shell")
    assert "of-the-shell" not in str(caught.value)
    assert container.overrides("rest.port: 1\na: b\n") == {"rest.port": 1, "a": "b"}
    assert container.main(["no-such-role"]) == 2


def test_the_page_has_commands_for_our_services_only() -> None:
    page = (ROOT / "docs" / "docker.md").read_text()
    lines = [line for line in page.splitlines() if line.startswith("docker compose ")]
    assert 0 < len(lines) < 20
    for line in lines:
        words = shlex.split(line, comments=True)[2:]
        if words[0] == "run":
            assert words[2] in SERVICES
        if words[2:3] == ["tools"]:
            assert is_ours(words[3:]), line


def test_each_of_the_page_s_commands_says_who_runs_it() -> None:
    page = (ROOT / "docs" / "docker.md").read_text()
    lines = [line for line in page.splitlines() if line.startswith("docker compose ")]
    for line in lines:
        assert re.search(r" # [PE](\b| )", line), line
        by_processes = line.split()[2:5] == ["run", "--rm", "tools"] or line.split()[4:5] in (
            ["prepare"],
            ["job"],
        )
        assert not by_processes or " # P" in line, line


def test_the_page_has_the_images_of_the_services() -> None:
    page = (ROOT / "docs" / "docker.md").read_text()
    for name, each in SERVICES.items():
        assert f"`{name}`" in page
        assert each["image"] == "streaming-etl:local" or f"| {each['image']} |" in page


def test_replay_takes_the_endpoint_that_the_configuration_allows() -> None:
    config = ROOT / "conf" / "docker.yaml"
    options = TargetOptions(config=config, stream="trips", remote=True, rate=1)
    (target,), _ = choose(options)
    assert target.hosts == ("localstack",)
    with pytest.raises(UserError, match="http is for 127.0.0.1 only"):
        choose(replace(options, endpoint="http://elsewhere:4566"))

"""Dockerfile, compose.yaml and the files in deploy/: what can be seen of them without a container engine."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from importlib.metadata import version
from ipaddress import ip_network
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from support.command import todo
from support.dockerfile import dockerfile, sources
from todo_adapters.memory import MemoryTasks
from todo_adapters.observability.metrics import Metrics
from todo_adapters.sql.tables import metadata
from todo_app.cli import _parser
from todo_app.serving import SHUTDOWN_TIMEOUT
from todo_app.settings import BadSetting, read_settings
from todo_app.settings.table import rows

CHECKOUT = Path(__file__).parents[2]
DEPLOY = CHECKOUT / "deploy"
SECRET = "0123456789abcdef0123456789abcdef"
SETTINGS = {variable for row in rows().values() for variable in row.variables}
ROUTES = {"/health/live", "/health/ready", "/metrics"}


def understood(arguments):
    """Whether the command line knows these arguments."""
    return _parser().parse_args([str(argument) for argument in arguments]).run


# The image.


def test_what_the_image_is_built_from_is_there_and_let_in():
    lines = (CHECKOUT / ".dockerignore").read_text().splitlines()
    let_in = {line[1:] for line in lines if line.startswith("!")}
    assert "*" in lines
    assert sources() == let_in
    assert all((CHECKOUT / source).exists() for source in let_in)


def test_the_image_runs_a_known_command_without_rights():
    said = dict(dockerfile())
    assert json.loads(said["ENTRYPOINT"]) == ["todo"]
    assert understood(json.loads(said["CMD"]))
    assert not said["USER"].startswith(("root", "0"))
    assert set(re.findall(r"TODO_\w+", said["ENV"])) <= SETTINGS


# Compose and Kubernetes.


def images():
    """Every image that the files name, with the file."""
    said = (CHECKOUT / "Dockerfile").read_text() + (CHECKOUT / "compose.yaml").read_text()
    yield from re.findall(r"^ *(?:FROM|ARG PYTHON_IMAGE=|image:) *([^\s$]+)", said, re.MULTILINE)
    for kind in ("Job", "Deployment"):
        (container,) = manifests()[kind]["spec"]["template"]["spec"]["containers"]
        yield container["image"]


def test_every_image_is_named_by_its_exact_version_and_ours_by_this_one():
    named = list(images())
    assert {image.partition(":")[0] for image in named} == {"python", "debian", "postgres", "todo"}
    for image in named:
        name, _, tag = image.partition(":")
        assert re.fullmatch(r"\d+\.\d+(?:\.\d+)?(?:-slim(?:-\w+)?)?", tag), image
        assert name != "todo" or tag == version("todo")
    assert version("todo").replace(".", "-") in manifests()["Job"]["metadata"]["name"]
    assert "@sha256:" in (CHECKOUT / "docs/operations.md").read_text()


def test_compose_knows_its_settings_commands_services_and_files():
    text = (CHECKOUT / "compose.yaml").read_text()
    services = yaml.safe_load(text)["services"]
    for name in ("todo", "migrate"):
        assert set(services[name]["environment"]) <= SETTINGS
    assert understood(services["migrate"]["command"])
    for service in services.values():
        assert set(service.get("depends_on", {})) <= set(services)
        for volume in service.get("volumes", []):
            if volume.startswith("."):
                assert (CHECKOUT / volume.split(":")[0]).is_file()
    asked_for = set(re.findall(r"(?<!\$)\$\{(\w+):\?\}", text))
    (named,) = re.findall(r"for name in ([\w ]+);", text)
    assert set(named.split()) == asked_for
    assert "openssl rand -hex 32" in text
    assert services["todo"]["stop_grace_period"] == f"{SHUTDOWN_TIMEOUT + 10}s"


def manifests():
    return {one["kind"]: one for one in yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text())}


def test_kubernetes_knows_its_settings_commands_secrets_and_routes():
    kinds = manifests()
    secrets = set(kinds["Secret"]["stringData"])
    for kind in ("Job", "Deployment"):
        (container,) = kinds[kind]["spec"]["template"]["spec"]["containers"]
        assert understood(container["args"])
        assert {variable["name"] for variable in container["env"]} <= SETTINGS
        referenced = [one["valueFrom"]["secretKeyRef"] for one in container["env"] if "valueFrom" in one]
        assert {one["name"] for one in referenced} == {kinds["Secret"]["metadata"]["name"]}
        assert {one["key"] for one in referenced} <= secrets
    (container,) = kinds["Deployment"]["spec"]["template"]["spec"]["containers"]
    ports = {port["name"] for port in container["ports"]}
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert container[probe]["httpGet"]["path"] in ROUTES
        assert container[probe]["httpGet"]["port"] in ports
    assert kinds["Service"]["spec"]["ports"][0]["targetPort"] in ports


def test_kubernetes_puts_no_variables_of_its_own_beside_our_settings():
    """For a Service named todo it would set TODO_PORT=tcp://10.…, which is no port."""
    for kind in ("Job", "Deployment"):
        assert manifests()[kind]["spec"]["template"]["spec"]["enableServiceLinks"] is False


def test_as_shipped_the_manifest_trusts_nobody_and_its_secret_is_too_short_to_start():
    kinds = manifests()
    given = kinds["Secret"]["stringData"]["jwt-secret"]
    with pytest.raises(BadSetting, match="at least 32 bytes"):
        read_settings(environment={"TODO_JWT_SECRET": given})
    (container,) = kinds["Deployment"]["spec"]["template"]["spec"]["containers"]
    (trusted,) = [one["value"] for one in container["env"] if one["name"] == "TODO_TRUSTED_PROXIES"]
    assert all(ip_network(network).subnet_of(ip_network("192.0.2.0/24")) for network in trusted.split())  # RFC 5737


def test_the_network_policy_is_for_our_pods_and_lets_in_requests_alone():
    kinds = manifests()
    policy = kinds["NetworkPolicy"]["spec"]
    (chosen,) = policy["podSelector"]["matchExpressions"]
    pods = [kinds[kind]["spec"]["template"]["metadata"]["labels"]["app"] for kind in ("Job", "Deployment")]
    assert (chosen["key"], chosen["operator"], set(chosen["values"])) == ("app", "In", set(pods))
    assert set(policy["policyTypes"]) == {"Ingress", "Egress"}
    (container,) = kinds["Deployment"]["spec"]["template"]["spec"]["containers"]
    for rule in policy["ingress"]:
        assert rule["from"]
        assert [port["port"] for port in rule["ports"]] == [port["name"] for port in container["ports"]]
    reached = {port["port"] for rule in policy["egress"] for port in rule["ports"]}
    assert reached == {53, 443, 5432, 6432}
    assert kinds["Service"]["spec"]["selector"] == {"app": pods[1]} != {"app": pods[0]}


def test_kubernetes_gives_requests_in_flight_their_time_and_labels_agree():
    kinds = manifests()
    pod = kinds["Deployment"]["spec"]["template"]
    (container,) = pod["spec"]["containers"]
    (window,) = [int(one["value"]) for one in container["env"] if one["name"] == "TODO_DRAIN_SECONDS"]
    probe = container["readinessProbe"]
    assert window > probe["periodSeconds"] * probe["failureThreshold"]
    assert pod["spec"]["terminationGracePeriodSeconds"] > window + SHUTDOWN_TIMEOUT
    selectors = [kinds[kind]["spec"]["selector"] for kind in ("Deployment", "Service", "PodDisruptionBudget")]
    assert [one.get("matchLabels", one) for one in selectors] == [pod["metadata"]["labels"]] * 3


# systemd.


def test_the_unit_is_one_that_systemd_takes_and_hardened(tmp_path):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed: it comes with systemd")
    unit = tmp_path / "todo.service"
    text = (DEPLOY / "todo.service").read_text()
    started = re.search(r"^ExecStart=/opt/todo/bin/todo (.*)$", text, re.MULTILINE)
    assert understood(started[1].split())
    unit.write_text(text.replace("/opt/todo/bin/todo", sys.executable))
    verified = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    assert (verified.returncode, verified.stderr) == (0, "")
    score = ["systemd-analyze", "security", "--offline=true", "--threshold=20", "--no-pager", unit]
    rated = subprocess.run(score, capture_output=True, text=True, check=False)
    assert rated.returncode == 0, rated.stdout
    window = int(re.search(r"^Environment=TODO_DRAIN_SECONDS=(\d+)$", text, re.MULTILINE)[1])
    assert int(re.search(r"^TimeoutStopSec=(\d+)$", text, re.MULTILINE)[1]) > window + SHUTDOWN_TIMEOUT


# Grafana.


def test_every_number_and_label_of_the_dashboard_exists():
    class Pool:
        def connections(self):
            return {"busy": 1, "idle": 1, "limit": 8, "waiting": 0}

    metrics = Metrics(Pool())
    metrics.timed(MemoryTasks())
    metrics.responded("GET", "/api/{user_id}/tasks", 200, 0.001)
    metrics.called("expired")
    labels = {}
    for family in text_string_to_metric_families(metrics.text().decode()):
        for sample in family.samples:
            labels.setdefault(sample.name, {"instance", "job"}).update(sample.labels)
    dashboard = json.loads((DEPLOY / "grafana.json").read_text())
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    assert len(queries) > 15
    for query in queries:
        used = re.findall(r"\b((?:todo|process)_\w+)\{([^}]*)\}", query)
        assert used, query
        for name, conditions in used:
            assert name in labels, name
            asked = set(re.findall(r"(\w+)\s*[!=]~?\"", conditions))
            grouped = {label.strip() for by in re.findall(r"by \(([^)]*)\)", query) for label in by.split(",")}
            assert asked | grouped <= labels[name], query


def test_the_commands_of_the_documents_are_known(tmp_path):
    """What README and docs tell people to type is taken by the command line."""
    for document in [CHECKOUT / "README.md", *(CHECKOUT / "docs").glob("*.md")]:
        blocks = "\n".join(re.findall(r"^```sh\n(.*?)^```", document.read_text(), re.MULTILINE | re.DOTALL))
        for line in re.findall(r"^(?:\$ )?todo [a-z].*$", blocks, re.MULTILINE):
            for command in re.findall(r"todo ([a-z][^&|>#]*)", line):
                assert understood(shlex.split(command.replace("…", "x").replace("[", "").replace("]", ""))), line
    assert todo("serve", "--nonsense", cwd=tmp_path).returncode == 2


# A cluster of Citus; `test_citus.py` runs the recipe.


@pytest.mark.parametrize("table", metadata.tables)
def test_the_recipe_for_citus_distributes_every_table(table):
    assert f"SELECT create_distributed_table('{table}', " in (DEPLOY / "citus.sql").read_text()

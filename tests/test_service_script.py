"""deploy/service.sh and deploy/job.sh without an engine: what they print, and what they leave."""

import os
import subprocess
from pathlib import Path

import pytest

from bake import PAYLOAD

DIGEST = "sha256:" + 64 * "a"
DOCKER = f"""#!/bin/sh
echo '{{"containerimage.digest": "{DIGEST}"}}' >build/image.json
"""


def write_program(path: Path, text: str) -> None:
    """Write a program that takes the place of another one."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)


def run_script(
    script: Path, action: str, folder: Path, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run a script in a folder whose programs come before all others."""
    path = f"{folder / 'programs'}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["sh", str(script), action],
        cwd=folder,
        env={**os.environ, "PATH": path, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def deploy_bundles(folder: Path) -> None:
    """Write a store with a deployed bundle and a former one."""
    bundles = folder / "var" / "deployed" / "bundles"
    for name in ("a1", "b2"):
        (bundles / name).mkdir(parents=True)
    (bundles.parent / "current.json").write_text('{\n  "digest": "b2",\n  "model_name": "x"\n}')


@pytest.mark.parametrize("action", ["image", "publish"])
def test_the_image_holds_the_deployed_bundle_alone(action: str, tmp_path: Path) -> None:
    deploy_bundles(tmp_path)
    record = f'echo "$*" >>{tmp_path}/calls\ncase $* in "image inspect"*) echo 1 ;; esac\n'
    write_program(tmp_path / "programs" / "docker", DOCKER.replace("\n", f"\n{record}", 1))
    (tmp_path / "build").mkdir()
    variables = {"IMAGE": "name", "PROJECT": "x"}
    done = run_script(PAYLOAD / "deploy" / "service.sh", action, tmp_path, **variables)
    assert done.returncode == 0, done.stderr
    assert "--build-arg BUNDLE=b2 " in (tmp_path / "calls").read_text().splitlines()[0]
    text = (PAYLOAD / "deploy" / "Dockerfile").read_text(encoding="utf-8")
    assert "COPY var/deployed/bundles/${BUNDLE} /srv/deployed/bundles/${BUNDLE}\n" in text


def test_a_release_that_does_not_become_healthy_shows_its_log(tmp_path: Path) -> None:
    docker = """#!/bin/sh
case $* in
*" up "*) exit 1 ;;
*" logs "*) echo "error: the bundle is broken" ;;
esac
"""
    write_program(tmp_path / "programs" / "docker", docker)
    variables = {"IMAGE": "name:7", "PROJECT": "x"}
    done = run_script(PAYLOAD / "deploy" / "service.sh", "release", tmp_path, **variables)
    assert done.returncode == 1
    said = "error: name:7 did not become healthy; the end of its log is above"
    assert done.stderr.splitlines() == ["error: the bundle is broken", said]


@pytest.mark.parametrize(
    ("image", "server"),
    [
        ("registry.example.org:5000/team/name:7", "registry.example.org:5000 "),
        (f"registry.example.org/name@{DIGEST}", "registry.example.org "),
        ("localhost/name", "localhost "),
        ("team/name:7", ""),
        (f"name@{DIGEST}", ""),
    ],
)
def test_the_login_is_at_the_registry_of_the_image(image: str, server: str, tmp_path: Path) -> None:
    write_program(tmp_path / "programs" / "docker", '#!/bin/sh\necho "$* $(cat)"\n')
    variables = {"IMAGE": image, "REGISTRY_USER": "bot", "REGISTRY_PASSWORD": "secret"}
    script = PAYLOAD / ".github" / "scripts" / "log-in.sh"
    done = run_script(script, "", tmp_path, **variables)
    assert done.stdout == f"login {server}--username bot --password-stdin secret\n"


@pytest.mark.parametrize("tag", ["", ":7"])
@pytest.mark.parametrize("name", ["team/name", "registry.example.org:5000/team/name", "name"])
def test_a_published_image_keeps_its_name(name: str, tag: str, tmp_path: Path) -> None:
    write_program(tmp_path / "programs" / "docker", DOCKER)
    deploy_bundles(tmp_path)
    outputs = tmp_path / "outputs"
    variables = {"IMAGE": name + tag, "PROJECT": "x", "GITHUB_OUTPUT": str(outputs)}
    done = run_script(PAYLOAD / "deploy" / "service.sh", "publish", tmp_path, **variables)
    assert done.stdout == f"image: {name}@{DIGEST}\n", done.stderr
    assert f"name={name}\n" in outputs.read_text()


@pytest.mark.parametrize("code", [0, 10, 20, 1])
def test_a_job_keeps_the_report_of_its_own_run_alone(code: int, tmp_path: Path) -> None:
    # The image holds the commit, and a report may be part of that.
    own = tmp_path / "opt" / "project"
    (own / "reports").mkdir(parents=True)
    (own / "reports" / "monitor.json").write_text("old")
    kept = tmp_path / "srv" / "reports"
    kept.mkdir(parents=True)
    (kept / "monitor.json").write_text("kept")
    written = "" if code == 1 else "echo new >reports/monitor.json; echo new >reports/monitor.html"
    write_program(tmp_path / "programs" / "python", f"#!/bin/sh\n{written}\nexit {code}\n")
    script = tmp_path / "job.sh"
    text = (PAYLOAD / "deploy" / "job.sh").read_text(encoding="utf-8")
    moved = text.replace("/srv/", f"{tmp_path}/srv/").replace("/opt/", f"{tmp_path}/opt/")
    script.write_text(moved, encoding="utf-8")
    variables = {
        "HOME": str(tmp_path / "home"),
        "TMPDIR": str(tmp_path / "scratch"),
        "JOB_PACKAGE": "package",
        "JOB_FOLDER": str(tmp_path / "srv" / "job" / "project"),
        "SERVICE_STORE": "store",
    }
    (tmp_path / "srv" / "job").mkdir()
    done = run_script(script, "monitor", tmp_path, **variables)
    assert done.returncode == (0 if code == 10 else code), done.stderr
    assert (kept / "monitor.json").read_text() == ("kept" if code == 1 else "new\n")


def test_the_monitor_leaves_a_clean_repository(tmp_path: Path) -> None:
    # Else no image of the jobs could be built after it.
    (tmp_path / ".gitignore").write_bytes((PAYLOAD / ".gitignore").read_bytes())
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    names = [f"reports/{name}" for name in ("monitor.json", "monitor.html", "judgement.json")]
    command = ["git", "check-ignore", "--no-index", *names]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.split() == names[:2]

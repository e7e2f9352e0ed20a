"""Stand-in for docker: builds and runs nothing, but keeps which image runs on which host."""

import hashlib
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

FOLDER = Path(sys.argv[0]).parent
HOST = os.environ.get("DOCKER_HOST") or "here"
SIZE = 350_000_000


def read_state() -> dict[str, Any]:
    """Read the images that run by host, and those that cannot start."""
    file = FOLDER / "docker.json"
    state: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    return {"running": {}, "broken": [], "size": SIZE, "log": "", **state}


def write_state(state: dict[str, Any]) -> None:
    """Write the state."""
    (FOLDER / "docker.json").write_text(json.dumps(state), encoding="utf-8")


def compose(arguments: list[str], state: dict[str, Any]) -> int:
    """Start an image, tell what runs, or copy the log."""
    image = os.environ["IMAGE"]
    if "up" in arguments:
        # As the real one, it has replaced the container by the time it finds it unhealthy.
        state["running"][HOST] = image
        write_state(state)
        return 1 if any(broken in image for broken in state["broken"]) else 0
    if "ps" in arguments:
        print("container" if HOST in state["running"] else "", end="\n")
        return 0
    if "cp" in arguments:
        shutil.copytree(state["log"], arguments[-1], dirs_exist_ok=True)
        return 0
    return 2


def push(arguments: list[str]) -> int:
    """Report the digest of what would be pushed: that of the deployed bundle."""
    content = Path("var/deployed/current.json").read_bytes()
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    metadata = Path(arguments[arguments.index("--metadata-file") + 1])
    metadata.write_text(json.dumps({"containerimage.digest": digest}), encoding="utf-8")
    return 0


def act(arguments: list[str]) -> int:
    """Do what a command says; 2 for an unknown one."""
    state = read_state()
    first = arguments[0]
    if first == "compose":
        return compose(arguments, state)
    if first == "buildx":
        return push(arguments)
    if first == "inspect":
        print(state["running"][HOST])
    elif arguments[:2] == ["image", "inspect"]:
        print(state["size"])
    elif first == "login":
        return 0 if sys.stdin.read() == "password" else 1
    elif first != "build":
        return 2
    return 0


def main() -> None:
    """Record the call and do it."""
    keys = os.environ.get("SERVICE_API_KEYS")
    call = {"program": "docker", "arguments": sys.argv[1:], "host": HOST, "keys": keys}
    with (FOLDER / "calls.jsonl").open("a", encoding="utf-8") as calls:
        calls.write(json.dumps(call) + "\n")
    sys.exit(act(sys.argv[1:]))


main()

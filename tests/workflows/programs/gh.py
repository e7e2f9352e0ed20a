"""Stand-in for gh: issues, labels and pull requests in a file; the token must allow each call."""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

FOLDER = Path(sys.argv[0]).parent
NEEDS = {
    ("issue", "list"): ("issues", "read"),
    ("issue", "create"): ("issues", "write"),
    ("issue", "comment"): ("issues", "write"),
    ("issue", "close"): ("issues", "write"),
    ("label", "create"): ("issues", "write"),
    ("pr", "create"): ("pull-requests", "write"),
    ("pr", "list"): ("pull-requests", "read"),
    ("api", "pulls"): ("pull-requests", "write"),
    ("auth", "setup-git"): ("contents", "write"),
}


def check_token(words: tuple[str, str]) -> None:
    """End the program if the token does not allow the call."""
    if words not in NEEDS:
        sys.exit(f"gh: this stand-in does not know '{' '.join(words)}'")
    scope, level = NEEDS[words]
    granted = json.loads(os.environ.get("GH_TOKEN") or "{}").get(scope)
    if granted not in (level, "write"):
        sys.exit(f"gh: the token lacks {scope}: {level}")


def read_options() -> argparse.Namespace:
    """Read the options that the workflows use."""
    parser = argparse.ArgumentParser()
    parser.add_argument("words", nargs=2)
    parser.add_argument("rest", nargs="*")
    for name in ("title", "body-file", "label", "head", "base", "state", "json", "jq", "comment"):
        parser.add_argument(f"--{name}", default="")
    parser.add_argument("--color", default="")
    parser.add_argument("--description", default="")
    parser.add_argument("--search", default="")
    parser.add_argument("--force", action="store_true")
    parser.add_argument("--silent", action="store_true")
    parser.add_argument("--method", default="")
    parser.add_argument("--raw-field", "--field", dest="fields", action="append", default=[])
    return parser.parse_args()


def read_body(options: argparse.Namespace) -> str:
    """Return the body that a file holds."""
    return Path(options.body_file).read_text(encoding="utf-8") if options.body_file else ""


def find_open(state: dict[str, Any], options: argparse.Namespace) -> list[dict[str, Any]]:
    """Return the open issues or pull requests that the options select."""
    kind = "pulls" if options.words[0] == "pr" else "issues"
    return [
        each
        for each in state[kind]
        if each["state"] == "open"
        and (not options.label or each["label"] == options.label)
        and (not options.head or each.get("head") == options.head)
    ]


def patch(pull: dict[str, Any], fields: list[str]) -> None:
    """Change fields of a pull request; `@FILE` stands for the text of a file."""
    for name, _, value in (each.partition("=") for each in fields):
        named = Path(value.removeprefix("@"))
        pull[name] = named.read_text(encoding="utf-8") if value.startswith("@") else value


def act(state: dict[str, Any], options: argparse.Namespace) -> None:
    """Change the issues and pull requests."""
    kind, action = options.words
    if kind == "api":
        number = int(action.removeprefix("repos/{owner}/{repo}/pulls/"))
        patch(state["pulls"][number - 1], options.fields)
        return
    if action == "list":
        for each in find_open(state, options):
            print(each["number"])
    elif action == "create" and kind != "label":
        items = state["pulls" if kind == "pr" else "issues"]
        made = {"title": options.title, "body": read_body(options), "label": options.label}
        made |= {"state": "open", "comments": [], "number": 1 + len(items), "head": options.head}
        items.append(made)
    elif kind == "issue" and action in ("comment", "close"):
        issue = state["issues"][int(options.rest[0]) - 1]
        text = read_body(options) or options.comment
        issue["comments"] += [text] if text else []
        issue["state"] = "closed" if action == "close" else issue["state"]


def main() -> None:
    """Record the call, check its token and do it."""
    with (FOLDER / "calls.jsonl").open("a", encoding="utf-8") as calls:
        calls.write(json.dumps({"program": "gh", "arguments": sys.argv[1:]}) + "\n")
    options = read_options()
    kind, action = options.words
    check_token((kind, action.split("/")[-2] if kind == "api" else action))
    file = FOLDER / "gh.json"
    state = json.loads(file.read_text()) if file.exists() else {"issues": [], "pulls": []}
    act(state, options)
    file.write_text(json.dumps(state), encoding="utf-8")


main()

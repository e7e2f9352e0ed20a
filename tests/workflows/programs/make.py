"""Stand-in for make: a planned verb does what its plan says, every other verb runs."""

import json
import os
import sys
from pathlib import Path
from typing import Any

FOLDER = Path(sys.argv[0]).parent


def record(arguments: list[str]) -> None:
    """Append the call to the record."""
    names = {"as_of": "AS_OF", "reason": "REASON", "arg_line": "ARGS", "from": "FROM"}
    values = {key: os.environ.get(name) for key, name in names.items()}
    call = {"program": "make", "arguments": arguments, **values}
    with (FOLDER / "calls.jsonl").open("a", encoding="utf-8") as calls:
        calls.write(json.dumps(call) + "\n")


def take_plan(verb: str) -> dict[str, Any] | None:
    """Take the next planned call of a verb; the last one stays."""
    file = FOLDER / "plans.json"
    plans = json.loads(file.read_text(encoding="utf-8"))
    planned = plans.get(verb)
    if not planned:
        return None
    plan = planned.pop(0) if len(planned) > 1 else planned[0]
    file.write_text(json.dumps(plans), encoding="utf-8")
    return None if plan["code"] is None else plan


def main() -> None:
    """Run the verb, or do what is planned."""
    arguments = sys.argv[1:]
    verb = next((each for each in arguments if "=" not in each and each[0] != "-"), "")
    nested = "MAKELEVEL" in os.environ
    if not nested:
        record(arguments)
    plan = None if nested else take_plan(verb)
    if plan is None:
        os.execv(FOLDER / "real-make", ["make", *arguments])  # noqa: S606
    for name, text in plan["files"].items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(text, encoding="utf-8")
    with Path(os.environ["GITHUB_OUTPUT"]).open("a", encoding="utf-8") as outputs:
        for name, value in plan["outputs"].items():
            outputs.write(f"{name}<<planned-end\n{value}\nplanned-end\n")
    if plan["printed"]:
        print(plan["printed"])
    sys.exit(plan["code"])


main()

"""Stand-in for pip-audit: finds what `audit.json` lists in a file, unless an ID is left out."""

import json
import sys
from pathlib import Path

FOLDER = Path(sys.argv[0]).parent


def main() -> None:
    """Exit with 1 if a finding is not left out."""
    arguments = sys.argv[1:]
    file = arguments[arguments.index("--requirement") + 1]
    plan = FOLDER / "audit.json"
    findings = json.loads(plan.read_text()) if plan.exists() else {"known-bad": ["CVE-1"]}
    found = set(findings.get(Path(file).stem, [])) - set(arguments)
    print("\n".join(sorted(found)))
    sys.exit(1 if found else 0)


main()

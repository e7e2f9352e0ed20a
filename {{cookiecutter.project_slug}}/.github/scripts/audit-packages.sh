#!/bin/sh
# Audits every pinned requirement with pip-audit. First a release that is known to be vulnerable: where nothing is found
# in it, as without a connection to the database, the audit of the others would mean nothing.
set -eu
audit() {
  pip-audit --progress-spinner=off --require-hashes --disable-pip --requirement "$@"
}
if audit .github/known-bad.txt >/dev/null 2>&1; then
  echo "error: pip-audit finds nothing in .github/known-bad.txt, which has known vulnerabilities; is its database reachable?" >&2
  exit 1
fi
ids=$(sh .github/scripts/exceptions.sh)
set --
for id in $ids; do
  set -- "$@" --ignore-vuln "$id"
done
failed=
for file in requirements/*.txt; do
  echo "audit: $file"
  audit "$file" "$@" || failed="$failed $file"
done
test -z "$failed" || {
  echo "error: vulnerable packages in$failed; run make upgrade, or add a dated exception to .github/vulnerability-exceptions.txt" >&2
  exit 1
}

#!/bin/sh
# Compares the newest tag (vX.Y.Z) of the git address $TEMPLATE with the chassis of this project. Outputs of a step:
# newer (true or false), from (for make upgrade-chassis) and tag.
set -eu
output() {
  test -z "${GITHUB_OUTPUT:-}" || printf '%s=%s\n' "$1" "$2" >>"$GITHUB_OUTPUT"
}
if [ -z "${TEMPLATE:-}" ]; then
  echo "::notice::The variable TEMPLATE is not set, so no newer chassis is looked for; set it to the template's git address."
  output newer false
  exit 0
fi
# The newest of some versions, one a line.
find_newest() {
  sort -t . -k 1,1n -k 2,2n -k 3,3n | tail -n 1
}
tags=$(git ls-remote --tags --refs "$TEMPLATE" 'v*')
newest=$(printf '%s\n' "$tags" | sed -n 's#.*refs/tags/v\([0-9][0-9]*\.[0-9][0-9]*\.[0-9][0-9]*\)$#\1#p' | find_newest)
own=$(sed -n 's/.*"version": *"\([^"]*\)".*/\1/p' chassis/MANIFEST.json)
if [ -n "$newest" ] && [ "$newest" != "$own" ] && [ "$(printf '%s\n%s\n' "$newest" "$own" | find_newest)" = "$newest" ]; then
  echo "chassis: $own here, $newest at $TEMPLATE"
  output newer true
  output from "$TEMPLATE@v$newest"
  output tag "v$newest"
else
  echo "chassis: $own is the newest"
  output newer false
fi

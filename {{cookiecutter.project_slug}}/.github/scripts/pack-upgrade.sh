#!/bin/sh
# Writes build/changes.patch and build/body.md after make upgrade-chassis, whose output is build/log.txt and whose
# outcome is TESTED; fails where the chassis was not exchanged.
set -eu
git add --all
if git diff --cached --quiet -- chassis; then
  echo "error: the chassis was not exchanged; see the step before" >&2
  exit 1
fi
git diff --cached --binary >build/changes.patch
{
  if [ "$TESTED" = success ]; then
    echo 'The tests pass with the new chassis.'
  else
    echo '**The tests fail with the new chassis**; adapt the project in this pull request. The end of the output:'
    printf '\n```\n'
    tail -n 30 build/log.txt
    echo '```'
  fi
  printf '\n## Changelog\n\n'
  git diff --cached --unified=0 -- chassis/CHANGELOG.md | sed -n '/^+++/d; s/^+//p'
} >build/body.md

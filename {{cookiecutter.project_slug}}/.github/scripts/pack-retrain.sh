#!/bin/sh
# Writes build/changes.patch and build/body.md after make retrain, whose outcome is described by SENTENCE. The patch is empty
# where the judgement alone differs: then the model is that of the commit, judged again.
set -eu
mkdir -p build
printf '%s\n\n' "$SENTENCE" >build/body.md
make metrics >>build/body.md
git add --all
if git diff --cached --quiet -- . ':(exclude)reports/judgement.json'; then
  : >build/changes.patch
else
  git diff --cached --binary >build/changes.patch
fi

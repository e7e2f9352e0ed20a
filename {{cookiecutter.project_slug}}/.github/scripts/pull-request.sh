#!/bin/sh
# pull-request.sh BRANCH TITLE: opens a pull request with build/changes.patch, described by build/body.md.
# A branch that has an open pull request already is left alone, and a patch without a change opens none. The commit has the
# time of the one before it: a job that is run again makes the same commit, and finds it pushed.
set -eu
branch=$1
title=$2
if [ -n "$(gh pr list --state open --head "$branch" --json number --jq '.[0].number')" ]; then
  echo "The pull request of $branch is open already."
  exit 0
fi
if [ ! -s build/changes.patch ]; then
  echo "The repository has these files already, so there is no pull request."
  exit 0
fi
base=$(git rev-parse --abbrev-ref HEAD)
gh auth setup-git
git switch --quiet --create "$branch"
git apply --index build/changes.patch
when=$(git log -1 --format=%cI)
GIT_AUTHOR_DATE=$when GIT_COMMITTER_DATE=$when git -c user.name='github-actions[bot]' -c user.email='41898282+github-actions[bot]@users.noreply.github.com' \
  commit --quiet --message "$title"
git push --quiet origin "$branch"
gh pr create --title "$title" --head "$branch" --base "$base" --body-file build/body.md

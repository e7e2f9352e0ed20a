#!/bin/sh
# pull-request.sh BRANCH TITLE [keep]: opens a pull request with build/changes.patch, described by build/body.md.
# An open pull request of the branch is updated, and with `keep` left alone. A patch without a change opens none, and a commit
# that somebody added to the branch is never overwritten. The commit has the time of the one before it: a job that is run
# again makes the same commit.
set -eu
branch=$1
title=$2
bot='41898282+github-actions[bot]@users.noreply.github.com'
number=$(gh pr list --state open --head "$branch" --json number --jq '.[0].number')
if [ -n "$number" ] && [ "${3:-}" = keep ]; then
  echo "The pull request of $branch is open already."
  exit 0
fi
if [ ! -s build/changes.patch ]; then
  echo "The repository has these files already, so there is no pull request."
  exit 0
fi
base=$(git rev-parse --abbrev-ref HEAD)
gh auth setup-git
# Empty where there is no such branch, which must still be so at the push.
pushed=$(git ls-remote --heads origin "refs/heads/$branch" | cut -f 1)
if [ -n "$pushed" ]; then
  git fetch --quiet --depth=1 origin "$pushed"
  if [ "$(git log -1 --format=%ce "$pushed")" != "$bot" ]; then
    echo "error: $branch has a commit that no workflow made; merge or close its pull request, delete the branch, and run again" >&2
    exit 1
  fi
fi
git switch --quiet --create "$branch"
git apply --index build/changes.patch
when=$(git log -1 --format=%cI)
GIT_AUTHOR_DATE=$when GIT_COMMITTER_DATE=$when git -c user.name='github-actions[bot]' -c user.email="$bot" \
  commit --quiet --message "$title"
git push --quiet --force-with-lease="refs/heads/$branch:$pushed" origin "$branch"
if [ -n "$number" ]; then
  # `gh pr edit` reads projects, for which the token of a workflow has no permission.
  gh api "repos/{owner}/{repo}/pulls/$number" --silent --method PATCH --raw-field "title=$title" --field body=@build/body.md
else
  gh pr create --title "$title" --head "$branch" --base "$base" --body-file build/body.md
fi

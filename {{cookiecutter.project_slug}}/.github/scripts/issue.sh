#!/bin/sh
# One open issue for each label:
#   issue.sh report LABEL TITLE BODY_FILE   opens it, or comments on the open one
#   issue.sh close LABEL BODY_FILE          comments on it and closes it, if it is open
# It calls gh, which reads GH_TOKEN, or the login of a desk.
set -eu
action=$1
label=$2
number=$(gh issue list --state open --label "$label" --json number --jq '.[0].number')
case $action in
report)
  title=$3
  body=$4
  if [ -n "$number" ]; then
    gh issue comment "$number" --body-file "$body"
  else
    gh label create "$label" --force --description "Opened by a workflow"
    gh issue create --title "$title" --label "$label" --body-file "$body"
  fi
  ;;
close)
  body=$3
  test -n "$number" || exit 0
  gh issue comment "$number" --body-file "$body"
  gh issue close "$number"
  ;;
*)
  echo "error: the action is '$action'; write report or close" >&2
  exit 1
  ;;
esac

#!/bin/sh
# Prints the IDs of .github/vulnerability-exceptions.txt whose date is not over; names those that are over.
set -eu
today=${TODAY:-$(date +%F)}
grep -v '^#' .github/vulnerability-exceptions.txt | while read -r id date reason; do
  test -n "$id" || continue
  case $date in
  [0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]) ;;
  *)
    echo "error: .github/vulnerability-exceptions.txt: '$id $date' has no date; write ID YYYY-MM-DD REASON" >&2
    exit 1
    ;;
  esac
  if [ -z "$reason" ]; then
    echo "error: .github/vulnerability-exceptions.txt: $id has no reason; write ID YYYY-MM-DD REASON" >&2
    exit 1
  fi
  if [ "$(printf '%s\n%s\n' "$date" "$today" | sort | head -n 1)" = "$today" ]; then
    echo "$id"
  else
    echo "expired on $date: $id, $reason" >&2
  fi
done

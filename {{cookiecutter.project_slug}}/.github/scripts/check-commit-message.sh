#!/bin/sh
# check-commit-message.sh FILE: a subject of at most 72 characters that does not end with a period, then an empty line.
set -eu
subject=$(sed -n 1p "$1")
second=$(sed -n 2p "$1")
refuse() {
  echo "error: the commit message $1" >&2
  exit 1
}
case $subject in
'') refuse 'has no subject; write one line that completes "This commit will ..."' ;;
*.) refuse 'has a subject that ends with a period; leave it out' ;;
esac
test "$(printf %s "$subject" | wc -m)" -le 72 || refuse 'has a subject above 72 characters; move the details below an empty line'
case $second in
'' | '#'*) ;;
*) refuse 'has text right below the subject; put an empty line between them' ;;
esac

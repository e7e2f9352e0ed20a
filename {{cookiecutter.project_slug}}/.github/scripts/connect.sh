#!/bin/sh
# Lets docker reach a DOCKER_HOST that begins with ssh://, by the key in DEPLOY_SSH_KEY. Only hosts of
# DEPLOY_KNOWN_HOSTS (lines of `ssh-keyscan HOST`, compared with the machine itself) are trusted.
set -eu
case ${DOCKER_HOST:-} in
ssh://*) ;;
*) exit 0 ;;
esac
if [ -z "${DEPLOY_SSH_KEY:-}" ] || [ -z "${DEPLOY_KNOWN_HOSTS:-}" ]; then
  echo "error: DOCKER_HOST is $DOCKER_HOST, but DEPLOY_SSH_KEY or DEPLOY_KNOWN_HOSTS is not set; set both in the environment" >&2
  exit 1
fi
mkdir -p ~/.ssh
chmod 700 ~/.ssh
umask 077
printf '%s\n' "$DEPLOY_SSH_KEY" >~/.ssh/id_ed25519
printf '%s\n' "$DEPLOY_KNOWN_HOSTS" >~/.ssh/known_hosts

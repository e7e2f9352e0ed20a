#!/bin/sh
# Logs docker in to the registry of $IMAGE with REGISTRY_USER and REGISTRY_PASSWORD; without a user it does nothing.
set -eu
if [ -z "${IMAGE:-}" ]; then
  echo "error: the variable IMAGE is not set; set it to the name of the image, as registry.example.org/team/name (docs/delivery.md)" >&2
  exit 1
fi
test -n "${REGISTRY_USER:-}" || exit 0
# As docker reads a name: its first part is a registry if it looks like a host, else the image is one of Docker Hub.
case $IMAGE in */*) registry=${IMAGE%%/*} ;; *) registry= ;; esac
case $registry in *.* | *:* | localhost) ;; *) registry= ;; esac
printf '%s' "$REGISTRY_PASSWORD" | docker login ${registry:+"$registry"} --username "$REGISTRY_USER" --password-stdin

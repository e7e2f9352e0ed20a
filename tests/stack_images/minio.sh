#!/bin/sh
# Serve S3 from memory, by moto, with the arguments and variables of MinIO.
set -eu
test "$*" = "server /data"
test "${#MINIO_ROOT_USER}" -ge 3 && test "${#MINIO_ROOT_PASSWORD}" -ge 8
touch /data/started
exec moto_server -H 0.0.0.0 -p 9000

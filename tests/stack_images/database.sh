#!/bin/sh
# Make the database at the first start, as the official image does, then serve it.
set -eu
if ! test -e "$PGDATA/PG_VERSION"; then
    printf '%s\n' "${POSTGRES_PASSWORD:?}" >/tmp/password
    initdb --username="$POSTGRES_USER" --pwfile=/tmp/password --auth-local=trust --auth-host=scram-sha-256 --no-sync
    echo 'host all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
    pg_ctl -w -o "-c listen_addresses=''" start
    createdb --username="$POSTGRES_USER" --no-password "$POSTGRES_DB"
    pg_ctl -w stop
fi
exec postgres -c 'listen_addresses=*'

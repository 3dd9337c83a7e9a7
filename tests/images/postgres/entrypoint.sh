#!/bin/sh
# Starts Postgres on /var/lib/postgresql, which may be an empty volume: then it first makes a cluster and runs
# /docker-entrypoint-initdb.d/*.sql in the order of their names as the superuser `postgres`.
# POSTGRES_PASSWORD: the superuser's password (needed for an empty volume). POSTGRES_DB: a database to make (default: postgres).
# The arguments go to postgres, as in `-c max_connections=60`.
set -eu

initialise() {
  passwords=$(mktemp -p /var/lib/postgresql)
  printf '%s\n' "${POSTGRES_PASSWORD:?set POSTGRES_PASSWORD: the volume holds no database yet}" > "$passwords"
  initdb --username=postgres --pwfile="$passwords" --auth-local=peer --auth-host=scram-sha-256 --encoding=UTF8 --no-sync > /dev/null
  rm "$passwords"
  echo 'host all all all scram-sha-256' >> "$PGDATA/pg_hba.conf"
  pg_ctl start -w -s -o "-c listen_addresses= -c unix_socket_directories=$PGHOST"
  database=${POSTGRES_DB:-postgres}
  [ "$database" = postgres ] || createdb "$database"
  for script in /docker-entrypoint-initdb.d/*.sql; do
    [ -e "$script" ] || continue
    echo "entrypoint: $script"
    psql -X -q -v ON_ERROR_STOP=1 -d "$database" -f "$script"
  done
  pg_ctl stop -w -s -m fast
  # Only now: a container that died before this line starts again from an empty directory.
  touch "$PGDATA/.initialised"
}

if [ ! -e "$PGDATA/.initialised" ]; then
  rm -rf "$PGDATA"
  initialise
fi
exec postgres -c listen_addresses='*' -c unix_socket_directories="$PGHOST" "$@"

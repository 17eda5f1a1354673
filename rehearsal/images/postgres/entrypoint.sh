#!/bin/bash
# Makes a cluster in an empty PGDATA from POSTGRES_*, runs /docker-entrypoint-initdb.d on it, and becomes the server.
set -euo pipefail

die() { echo "$*" >&2; exit 1; }

# A value, or the content of the file that the variable with _FILE names.
setting() {
    local file="${1}_FILE"
    if [ -n "${!1-}" ] && [ -n "${!file-}" ]; then die "$1 and $file are both set; set one"; fi
    if [ -n "${!file-}" ]; then cat "${!file}"; else printf '%s' "${!1-${2-}}"; fi
}

if [ "${1#-}" != "$1" ]; then set -- postgres "$@"; fi
if [ "$1" != postgres ]; then exec "$@"; fi

if [ "$(id -u)" = 0 ]; then
    # Files that only root reads are read while it is root.
    for name in POSTGRES_USER POSTGRES_PASSWORD POSTGRES_DB; do
        file="${name}_FILE"
        if [ -n "${!file-}" ]; then export "$name=$(setting "$name")"; unset "$file"; fi
    done
    mkdir -p "$PGDATA"
    chown -R postgres:postgres "$PGDATA" /var/run/postgresql
    chmod 0700 "$PGDATA"
    exec setpriv --reuid=postgres --regid=postgres --init-groups "$0" "$@"
fi

if [ ! -s "$PGDATA/PG_VERSION" ]; then
    user=$(setting POSTGRES_USER postgres)
    password=$(setting POSTGRES_PASSWORD)
    database=$(setting POSTGRES_DB "$user")
    method=${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}
    if [ -z "$password" ] && [ "$method" != trust ]; then
        die "The database has no superuser password: set POSTGRES_PASSWORD, or POSTGRES_HOST_AUTH_METHOD=trust"
    fi
    # shellcheck disable=SC2046
    eval "initdb --username=\"$user\" --pwfile=<(printf '%s\n' \"\$password\") ${POSTGRES_INITDB_ARGS-}"
    echo "host all all all $method" >> "$PGDATA/pg_hba.conf"
    pg_ctl --wait -o "-c listen_addresses=''" start
    query=(psql --no-psqlrc --set ON_ERROR_STOP=1 --username "$user" --no-password)
    if [ "$database" != postgres ]; then
        echo 'CREATE DATABASE :"name";' | "${query[@]}" --dbname postgres --set name="$database"
    fi
    query+=(--dbname "$database")
    for file in /docker-entrypoint-initdb.d/*; do
        case "$file" in
            *.sh) if [ -x "$file" ]; then "$file"; else . "$file"; fi ;;
            *.sql) "${query[@]}" --file "$file" ;;
            *.sql.gz) gunzip --stdout "$file" | "${query[@]}" ;;
        esac
    done
    pg_ctl --mode fast --wait stop
fi
exec "$@"

#!/bin/bash
# Makes a database in an empty /var/lib/mysql from MARIADB_* or MYSQL_*, runs /docker-entrypoint-initdb.d on it, and becomes the server.
set -euo pipefail

die() { echo "$*" >&2; exit 1; }

# A value by either name, or the content of the file that the variable with _FILE names.
setting() {
    local name file
    for name in "MARIADB_$1" "MYSQL_$1"; do
        file="${name}_FILE"
        if [ -n "${!file-}" ]; then cat "${!file}"; return; fi
        if [ -n "${!name-}" ]; then printf '%s' "${!name}"; return; fi
    done
}

quoted() { printf "'%s'" "$(printf '%s' "$1" | sed "s/[\\\\']/\\\\&/g")"; }

if [ "${1#-}" != "$1" ]; then set -- mariadbd "$@"; fi
case "$1" in mariadbd | mysqld) ;; *) exec "$@" ;; esac

# Some options are MySQL's alone: those that are not known are passed over.
for option in "$@"; do
    shift
    case "$option" in --loose-* | --defaults* | --help | --version) ;; --*) option="--loose-${option#--}" ;; esac
    set -- "$@" "$option"
done

if [ "$(id -u)" = 0 ]; then
    # Files that only root reads are read while it is root.
    for each in ROOT_PASSWORD DATABASE USER PASSWORD; do
        value=$(setting "$each")
        unset "MARIADB_$each" "MYSQL_$each" "MARIADB_${each}_FILE" "MYSQL_${each}_FILE"
        if [ -n "$value" ]; then export "MARIADB_$each=$value"; fi
    done
    find /var/lib/mysql \! -user mysql -exec chown mysql:mysql '{}' +
    exec setpriv --reuid=mysql --regid=mysql --init-groups "$0" "$@"
fi

if [ ! -d /var/lib/mysql/mysql ]; then
    root=$(setting ROOT_PASSWORD)
    if [ -z "$root$(setting ALLOW_EMPTY_ROOT_PASSWORD)$(setting ALLOW_EMPTY_PASSWORD)" ]; then
        die "The database has no root password: set MARIADB_ROOT_PASSWORD, or MARIADB_ALLOW_EMPTY_ROOT_PASSWORD=1"
    fi
    mariadb-install-db --auth-root-authentication-method=normal --skip-test-db > /dev/null
    "$@" --skip-networking &
    server=$!
    until mariadb-admin --user=root ping --silent 2> /dev/null; do
        kill -0 "$server" || die "The server does not start"
        sleep 0.2
    done
    database=$(setting DATABASE) user=$(setting USER)
    {
        if [ -n "$database" ]; then echo "CREATE DATABASE \`$database\`;"; fi
        if [ -n "$user" ]; then
            echo "CREATE USER $(quoted "$user")@'%' IDENTIFIED BY $(quoted "$(setting PASSWORD)");"
            if [ -n "$database" ]; then echo "GRANT ALL ON \`${database//_/\\_}\`.* TO $(quoted "$user")@'%';"; fi
        fi
    } | mariadb --user=root
    query=(mariadb --user=root ${database:+"$database"})
    for file in /docker-entrypoint-initdb.d/*; do
        case "$file" in
            *.sh) if [ -x "$file" ]; then "$file"; else . "$file"; fi ;;
            *.sql) "${query[@]}" < "$file" ;;
            *.sql.gz) gunzip --stdout "$file" | "${query[@]}" ;;
        esac
    done
    {
        echo "CREATE USER root@'%' IDENTIFIED BY $(quoted "$root"); GRANT ALL ON *.* TO root@'%' WITH GRANT OPTION;"
        echo "ALTER USER root@localhost IDENTIFIED BY $(quoted "$root");"
    } | mariadb --user=root
    kill "$server"
    wait "$server" || true
fi
exec "$@"

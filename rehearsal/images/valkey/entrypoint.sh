#!/bin/sh
# Options alone are for the server. The server runs as its own user, and answers other containers without a password, as the official
# image's does.
set -e
server=valkey-server
if [ "${1#-}" != "$1" ] || [ "${1%.conf}" != "$1" ]; then set -- "$server" "$@"; fi
if [ "$1" = "$server" ]; then
    case " $* " in
        *" --protected-mode "*) ;;
        *) set -- "$@" --protected-mode no ;;
    esac
    if [ "$(id -u)" = 0 ]; then
        find . \! -user valkey -exec chown valkey '{}' +
        exec setpriv --reuid=valkey --regid=valkey --init-groups "$0" "$@"
    fi
fi
exec "$@"

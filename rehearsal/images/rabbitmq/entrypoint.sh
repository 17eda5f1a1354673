#!/bin/bash
# Names the first user of an empty server after RABBITMQ_DEFAULT_*, and becomes the server, as a user of its own.
set -euo pipefail
case "$1" in rabbitmq*) ;; *) exec "$@" ;; esac
if [ "$(id -u)" = 0 ]; then
    find /var/lib/rabbitmq \! -user rabbitmq -exec chown rabbitmq:rabbitmq '{}' +
    exec setpriv --reuid=rabbitmq --regid=rabbitmq --init-groups "$0" "$@"
fi
settings=/etc/rabbitmq/conf.d/20-environment.conf
: > "$settings"
for each in USER PASS VHOST; do
    name="RABBITMQ_DEFAULT_$each"
    if [ -n "${!name-}" ]; then printf 'default_%s = %s\n' "$(echo "$each" | tr '[:upper:]' '[:lower:]')" "${!name}" >> "$settings"; fi
done
exec "$@"

#!/bin/sh
# Fills /etc/nginx/templates/*.template into conf.d, and runs /docker-entrypoint.d, before nginx.
set -e
if [ "$1" = nginx ]; then
    for template in /etc/nginx/templates/*.template; do
        [ -f "$template" ] || continue
        # Only variables that are set: nginx's own start with a dollar sign too.
        # shellcheck disable=SC2016
        names=$(env | sed -n 's/^\([A-Za-z_][A-Za-z0-9_]*\)=.*/${\1}/p' | tr '\n' ' ')
        envsubst "$names" < "$template" > "/etc/nginx/conf.d/$(basename "$template" .template)"
    done
    for script in /docker-entrypoint.d/*.sh; do
        if [ -x "$script" ]; then "$script"; fi
    done
fi
exec "$@"

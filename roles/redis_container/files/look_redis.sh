#!/bin/sh
# Says in JSON what this machine has of a Redis that several keep: look_redis.sh CLIENT DATA. "leads" is whom its Sentinel takes for the
# primary, "noted" whom the server followed when it ran last.
set -u
client=$1 data=$2
home=/etc/berth/redis

inside() {
    container=$1
    shift
    timeout 10 docker exec --env REDISCLI_AUTH "$container" "$client" --tls --insecure --no-auth-warning "$@" 2> /dev/null | tr -d '\r'
}

said=$(REDISCLI_AUTH=$(cat "$home/secrets/operator" 2> /dev/null) inside berth-redis --user operator INFO replication)
value() { printf '%s\n' "$said" | sed -n "s/^$1://p"; }
agreed=$(REDISCLI_AUTH=$(cat "$home/secrets/sentinel" 2> /dev/null) inside berth-sentinel -p 26379 SENTINEL MASTER berth |
    awk '{ if (NR % 2) key = $0; else found[key] = $0 } END { print found["ip"], found["config-epoch"] + 0 }')
holds=false followed=false
if [ -d "$data/appendonlydir" ] || [ -f "$data/dump.rdb" ]; then holds=true; fi
if grep -q '^min-replicas' "$home/conf/followed.conf" 2> /dev/null; then followed=true; fi
printf '{"holds": %s, "followed": %s, "role": "%s", "followers": %s, "leads": "%s", "epoch": %s, "noted": "%s", "bytes": %s}\n' \
    "$holds" "$followed" "$(value role)" "$(value connected_slaves | grep . || echo 0)" "${agreed% *}" "${agreed##* }" \
    "$(sed -n 's/^replicaof \([^ ]*\).*/\1/p' "$data/berth.conf" 2> /dev/null)" "$(du --summarize --block-size=1 "$data" 2> /dev/null | cut -f 1 | grep . || echo 0)"

#!/bin/sh
# Lets another machine's Redis take writes, where this one's does: hand_over_redis.sh CLIENT. Nothing that was acknowledged is lost: no write
# is taken from when the others have all until one of them has taken over.
set -eu
client=$1
home=/etc/berth/redis

here() {
    REDISCLI_AUTH=$(cat "$home/secrets/operator") docker exec --interactive --env REDISCLI_AUTH berth-redis \
        "$client" --tls --insecure --user operator --no-auth-warning "$@" < /dev/null | tr -d '\r'
}
sentinel() {
    REDISCLI_AUTH=$(cat "$home/secrets/sentinel") docker exec --interactive --env REDISCLI_AUTH berth-sentinel \
        "$client" --tls --insecure -p 26379 --no-auth-warning "$@" < /dev/null | tr -d '\r'
}
leading() { sentinel SENTINEL GET-MASTER-ADDR-BY-NAME berth | tr '\n' ' '; }

if ! here ROLE | head -n 1 | grep -qx master; then exit 0; fi
own=$(leading)

# Whether all that follow have all: the followers that are online with another place than the primary's, or none that is.
behind() {
    here INFO replication | awk -F '[:,=]' '
        /^master_repl_offset:/ { all = $2 }
        /^slave[0-9]+:/ { for (i = 1; i < NF; i++) { if ($i == "state") state = $(i + 1); if ($i == "offset") place = $(i + 1) } found[$1] = state " " place }
        END { n = 0; for (each in found) { n++; if (found[each] != "online " all) print each, found[each] }; if (n == 0) print "nobody follows" }'
}

end() { here CLIENT UNPAUSE > /dev/null || true; }
trap end EXIT
here CLIENT PAUSE 20000 WRITE > /dev/null
left=10
while [ -n "$(behind)" ]; do
    left=$((left - 1))
    if [ "$left" -eq 0 ]; then echo "not all that follow have all: $(behind)"; exit 1; fi
    sleep 0.5
done
said=$(sentinel SENTINEL FAILOVER berth)
if [ "$said" != OK ]; then echo "no other one can take over: $said"; exit 1; fi
left=40
while [ "$(leading)" = "$own" ]; do
    left=$((left - 1))
    if [ "$left" -eq 0 ]; then echo "no other one has taken over"; exit 1; fi
    sleep 0.25
done
set -- $(leading)
# At once: left to the Sentinels it would take writes beside the new one for some seconds.
here REPLICAOF "$1" "$2" > /dev/null
echo "handed over to $1"

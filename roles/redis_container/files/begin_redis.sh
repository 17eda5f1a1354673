#!/bin/sh
# Begins a Redis that several machines keep: begin_redis.sh SERVER CLIENT CONFIGURATION DATA. Root's, in the container; the server becomes its
# own user.
set -eu
server=$1 client=$2 conf=$3 data=$4
own=$data/berth.conf
umask 077
# address and port of this machine's, sentinel_port, and peers: the others' addresses.
. "$conf/agreeing"
REDISCLI_AUTH=$(cat "$conf/sentinel")
export REDISCLI_AUTH

ask() {
    host=$1
    shift
    timeout 3 "$client" --tls --cacert "$conf/authorities.pem" --no-auth-warning -h "$host" -p "$sentinel_port" "$@" < /dev/null 2> /dev/null ||
        true
}

# Who takes writes, as the best informed of the others' Sentinels says: EPOCH ADDRESS PORT, or nothing where none answers.
leading() {
    for peer in $peers; do
        ask "$peer" SENTINEL MASTER berth | tr -d '\r' |
            awk '{ if (NR % 2) key = $0; else found[key] = $0 } END { if (found["ip"]) print found["config-epoch"], found["ip"], found["port"] }'
    done | sort -n | tail -n 1
}

holds() { [ -d "$data/appendonlydir" ] || [ -f "$data/dump.rdb" ]; }

# What was acknowledged last may be at those that follow, and not on the disk here. So whoever begins leaves the lead to one that ran
# meanwhile, where there is one that could take it.
found=$(leading)
nobody=0 left=40
while [ -n "$found" ] && [ "$(echo "$found" | cut -d ' ' -f 2)" = "$address" ] && [ "$left" -gt 0 ]; do
    left=$((left - 1))
    for peer in $peers; do
        said=$(ask "$peer" SENTINEL FAILOVER berth)
        case $said in *NOGOODSLAVE*) nobody=$((nobody + 1)) ;; esac
        [ -z "$said" ] || break
    done
    if [ "$nobody" -ge 3 ]; then break; fi
    sleep 0.5
    found=$(leading)
done

if [ -n "$found" ] && [ "$(echo "$found" | cut -d ' ' -f 2)" = "$address" ]; then
    if ! holds; then
        echo "Nothing is in $data, and the others take what is here for their data: it is not begun empty. Another one has to take over first." >&2
        sleep 5
        exit 1
    fi
    follows=
elif [ -n "$found" ]; then
    follows=$(echo "$found" | cut -d ' ' -f 2,3)
else
    # Nobody answers: as it was, or as the role has written.
    follows=$(sed -n 's/^replicaof //p' "$own" 2> /dev/null || true)
fi

{
    echo "include $conf/redis.conf"
    if [ -n "$follows" ]; then
        echo "replicaof $follows"
        # It takes over once it has what the primary has; not with what it had when it last ran.
        echo "replica-priority 0"
    fi
} > "$own.new"
mv "$own.new" "$own"

here() { "$client" --tls --insecure --user sentinel --no-auth-warning "$@" < /dev/null 2> /dev/null || true; }
candidate() {
    while :; do
        sleep 1
        case $(here ROLE | sed -n '1p;4p' | tr -d '\r' | tr '\n' ' ') in
            "master "* | "slave connected "*) if [ "$(here CONFIG SET replica-priority 100)" = OK ]; then exit 0; fi ;;
        esac
    done
}
if [ -n "$follows" ]; then candidate > /dev/null & fi

unset REDISCLI_AUTH
exec docker-entrypoint.sh "$server" "$own"

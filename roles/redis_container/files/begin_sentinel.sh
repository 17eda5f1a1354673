#!/bin/sh
# Begins a Sentinel: begin_sentinel.sh SERVER CONFIGURATION DATA. It keeps what the Sentinels have agreed on, and is told the rest anew.
set -eu
server=$1 conf=$2
own=$3/sentinel.conf
umask 077
# addresses: of all machines that keep the Redis; quorum: how many have to miss it.
. "$conf/agreeing"
kept=$(awk -v known=" $addresses " -v quorum="$quorum" '
    /^sentinel (current-epoch|config-epoch|leader-epoch) / { print }
    /^sentinel monitor / { print $1, $2, $3, $4, $5, quorum }
    /^sentinel known-(replica|sentinel) / { if (index(known, " " $4 " ")) print }' "$own")
# What is said of a Redis comes after its name.
{
    printf '%s\n' "$kept" | grep '^sentinel monitor '
    cat "$conf/sentinel.conf"
    printf '%s\n' "$kept" | grep -v '^sentinel monitor ' || true
} > "$own.new"
mv "$own.new" "$own"
exec docker-entrypoint.sh "$server" "$own" --sentinel

#!/bin/sh
# How an etcd that holds nothing begins: begin_etcd.sh IMAGE DATA NAME PEER_URL FIRST_MEMBERS OTHERS. OTHERS: client URLs of those that hold
# data.
set -eu
image=$1 data=$2 name=$3 peer=$4 first=$5 others=$6
home=/etc/berth/etcd

control() {
    docker run --rm --network host --volume "$home/conf:/conf:ro" --volume /etc/berth/postgres/tls:/tls:ro --env ETCDCTL_API=3 "$image" \
        etcdctl --endpoints "$others" --cacert /conf/authorities.pem --cert /tls/server.pem --key /tls/server.key --command-timeout 10s "$@"
}

# What is here is of a machine that had another address, so none of the others would find it.
rm -rf "$data/member"

write() {
    printf 'ETCD_INITIAL_CLUSTER=%s\nETCD_INITIAL_CLUSTER_STATE=%s\n' "$1" "$2" > "$home/.begin.env"
    mv "$home/.begin.env" "$home/begin.env"
}

# Each line: ID, started, NAME, PEER_URLS, CLIENT_URLS, learner. Without an answer there is no majority, and they have yet to begin together.
members=
if [ -n "$others" ]; then members=$(control member list 2> /dev/null) || members=; fi
own=$(printf '%s\n' "$members" | grep -F "$peer" || true)
clients=$(printf '%s' "$own" | cut -d , -f 5 | tr -d ' ')
if [ -z "$members" ] || { [ -n "$own" ] && [ -z "$clients" ]; }; then
    write "$first" new
    exit 0
fi
# It was one of them, and what it held is gone: it comes back as another one, since it has forgotten how it voted.
if [ -n "$own" ]; then control member remove "${own%%,*}"; fi
added=$(control member add "$name" --peer-urls "$peer")
write "$(printf '%s\n' "$added" | sed -n 's/^ETCD_INITIAL_CLUSTER="\(.*\)"$/\1/p')" existing

#!/bin/sh
# Lets Patroni hand over: take_over.sh CONTAINER CLUSTER CANDIDATE LEADER STANDBYS. LEADER: empty where there is none. STANDBYS: how many each
# write waits for meanwhile, or 0 where it waits for none.
set -eu
container=$1 cluster=$2 candidate=$3 leader=$4 standbys=$5

patroni() { docker exec --interactive --user postgres "$container" patronictl --config-file /etc/berth/conf/patroni.yml "$@" 2>&1; }

# Whether each write waits for the candidate.
waited() { patroni list --format tsv "$cluster" | grep -q "	$candidate	.*	Sync Standby	"; }

end() { if [ "$standbys" -gt 0 ]; then patroni edit-config --force --set synchronous_node_count=null "$cluster" > /dev/null || true; fi; }

if [ -z "$leader" ]; then
    patroni failover --candidate "$candidate" --force "$cluster"
    exit 0
fi
if [ "$standbys" -gt 0 ] && ! waited; then
    trap end EXIT
    patroni edit-config --force --set synchronous_node_count="$standbys" "$cluster" > /dev/null
    left=30
    until waited; do
        left=$((left - 1))
        if [ "$left" -eq 0 ]; then echo "$candidate does not follow closely enough"; exit 1; fi
        sleep 1
    done
fi
said=$(patroni switchover --leader "$leader" --candidate "$candidate" --force "$cluster") || { echo "$said"; exit 1; }
echo "$said"
case $said in *uccessfully*) ;; *) exit 1 ;; esac

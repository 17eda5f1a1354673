#!/bin/sh
# Lets another machine lead before this one is restarted, where Patroni leads here: hand_over.sh CONTAINER.
set -eu
container=$1

patroni() { docker exec --interactive --user postgres "$container" patronictl --config-file /etc/berth/conf/patroni.yml "$@" 2> /dev/null; }
own() { docker exec "$container" sed -n "s/^$1: //p" /etc/berth/conf/patroni.yml; }

name=$(own name) cluster=$(own scope)
patroni list --format tsv "$cluster" | grep -q "	$name	.*	Leader	" || exit 0
# Who is waited for with each write has them all.
other=$(patroni list --format tsv "$cluster" | awk -F '\t' '$4 == "Sync Standby" || ($4 == "Replica" && $5 == "streaming") { print $4 "\t" $2 }' |
    sort -r | head -n 1 | cut -f 2)
if [ -z "$other" ]; then echo "nobody follows $name, so nobody can take over"; exit 1; fi
said=$(patroni switchover --leader "$name" --candidate "$other" --force "$cluster")
case $said in *uccessfully*) echo "handed over to $other" ;; *) echo "$said"; exit 1 ;; esac

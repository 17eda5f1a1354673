#!/bin/sh
# Adds Patroni and etcd to an image of Postgres that has Debian's packages: add_patroni.sh BASE IMAGE. Says "built" where it was not there.
set -eu
base=$1 image=$2
packages="patroni python3-etcd etcd-server etcd-client curl"

identity() { docker image inspect --format '{{.Id}}' "$base" 2> /dev/null; }

known=$(identity) || { docker pull --quiet "$base" > /dev/null && known=$(identity); }
there=$(docker image inspect --format '{{index .Config.Labels "org.berth.base"}}' "$image" 2> /dev/null) || there=
if [ "$there" = "$known $packages" ]; then exit 0; fi
docker build --quiet --tag "$image" - > /dev/null <<END
FROM $base
LABEL org.berth.base="$known $packages"
USER root
RUN apt-get update && apt-get install --yes --no-install-recommends $packages && rm -rf /var/lib/apt/lists/*
END
echo built

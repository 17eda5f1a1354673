#!/bin/sh
# On a host with cgroup v1, gives the machine a tree of cgroups that it can write to; with v2, Docker has done so.
set -e
if [ ! -f /sys/fs/cgroup/cgroup.controllers ]; then
    for mount in $(awk '$2 ~ "^/sys/fs/cgroup" { print length($2), $2 }' /proc/mounts | sort -rn | cut -d' ' -f2); do
        umount "$mount" 2> /dev/null || true
    done
    mount -t tmpfs -o mode=755 cgroup /sys/fs/cgroup
    for controller in $(awk '$4 == 1 && $1 !~ "^#" { print $1 }' /proc/cgroups); do
        mkdir -p "/sys/fs/cgroup/$controller"
        mount -t cgroup -o "$controller" cgroup "/sys/fs/cgroup/$controller" || rmdir "/sys/fs/cgroup/$controller"
    done
    mkdir -p /sys/fs/cgroup/systemd /sys/fs/cgroup/unified
    mount -t cgroup -o none,name=systemd cgroup /sys/fs/cgroup/systemd
    mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified || rmdir /sys/fs/cgroup/unified
fi
exec "$@"

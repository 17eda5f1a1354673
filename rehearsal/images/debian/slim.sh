#!/bin/sh
# Leaves out of a new Debian what Debian's own images for containers leave out, and lets what is installed later do so: slim.sh ROOT.
set -eu
folder=$(dirname "$0") root=$1
cp "$folder/dpkg.conf" "$root/etc/dpkg/dpkg.cfg.d/docker"
cp "$folder/apt.conf" "$root/etc/apt/apt.conf.d/docker-clean"
# As dpkg.conf says, of what was unpacked before dpkg was told.
cd "$root/usr/share"
find doc -type f ! -name copyright -delete
find locale -type f ! -name locale.alias -delete
rm -rf info lintian

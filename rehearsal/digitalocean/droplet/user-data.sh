#!/bin/sh
# A user data script runs once, as cloud-init runs it.
[ -f /etc/rehearsal/user-data ] || exit 0
[ -f /var/lib/cloud/instance/sem/config_scripts_user ] && exit 0
mkdir -p /var/lib/cloud/instance/sem
touch /var/lib/cloud/instance/sem/config_scripts_user
case "$(head -c 2 /etc/rehearsal/user-data)" in
    '#!') install -m 0700 /etc/rehearsal/user-data /var/lib/cloud/instance/user-data && /var/lib/cloud/instance/user-data ;;
    *) echo "only a script is rehearsed as user data" >&2; exit 1 ;;
esac > /var/log/cloud-init-output.log 2>&1

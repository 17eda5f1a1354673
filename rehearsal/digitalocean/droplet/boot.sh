#!/bin/sh
# At each start: the devices of attached volumes, what /etc/fstab says of them (systemd leaves devices in /etc/fstab alone in a container),
# reserved addresses, the cloud's firewall, and host keys where there are none yet.
[ -f /etc/rehearsal/volumes ] && while read -r device minor name; do
    [ -b "/dev/$device" ] || mknod "/dev/$device" b 7 "$minor"
    mkdir -p /dev/disk/by-id
    ln -sf "../../$device" "/dev/disk/by-id/scsi-0DO_Volume_$name"
done < /etc/rehearsal/volumes
mount --all --types ext4,xfs
[ -f /etc/rehearsal/addresses ] && while read -r address; do ip address replace "$address/32" dev eth0; done < /etc/rehearsal/addresses
[ -f /etc/rehearsal/firewall.nft ] && nft --file /etc/rehearsal/firewall.nft
[ -f /etc/ssh/ssh_host_ed25519_key ] || ssh-keygen -q -A
# The kernel is that of the machine that the rehearsal runs on: what would set it there is written to a copy.
for folder in /proc/sys/vm /sys/kernel/mm/transparent_hugepage; do
    copy="/run/kernel$folder"
    if [ -d "$folder" ] && [ ! -d "$copy" ]; then
        mkdir -p "$copy"
        for file in "$folder"/*; do
            [ -f "$file" ] && cat "$file" > "$copy/${file##*/}" 2> /dev/null
        done
        mount --bind "$copy" "$folder"
    fi
done
exit 0

#!/bin/sh
# root-folder.sh PROGRAM FOLDER: makes the root folder of an image that runs PROGRAM as user 10001 and holds nothing else.
set -eu
program=$1 root=$2
mkdir -p "$root/usr/local/bin" "$root/etc/ssl/certs" "$root/tmp"
mkdir -p "$root/var/lib/vitrine/models" "$root/var/lib/vitrine/runs"
install -m 755 "$program" "$root/usr/local/bin/"
# The shared libraries that the program loads, and the loader itself, where the program looks for them.
ldd "$program" | grep -o '/[^ ]*' | sort -u | while read -r library; do
    mkdir -p "$root$(dirname "$library")"
    cp -L "$library" "$root$library"
done
echo 'vitrine:x:10001:10001::/var/lib/vitrine:/nonexistent' >"$root/etc/passwd"
echo 'vitrine:x:10001:' >"$root/etc/group"
echo 'hosts: files dns' >"$root/etc/nsswitch.conf"
cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
chmod 1777 "$root/tmp"

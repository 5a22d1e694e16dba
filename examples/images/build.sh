#!/bin/sh
# Build the example's images from Debian packages, without a registry; does nothing when they are there.
set -eu
kubeplay=${KUBEPLAY:-kubeplay}
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if ! $kubeplay image exists localhost/busybox:1; then
    echo "building localhost/busybox:1 from busybox-static"
    mkdir "$work/busybox"
    cp "$(command -v busybox)" "$work/busybox/busybox"
    $kubeplay build --quiet -t localhost/busybox:1 -f "$here/busybox/Containerfile" "$work/busybox"
fi

if ! $kubeplay image exists localhost/nginx:1; then
    echo "building localhost/nginx:1 from Debian's nginx-light (some seconds)"
    mkdir "$work/nginx"
    # "extract" unpacks the packages without running their scripts: enough for one static web server.
    # An ordinary user's mmdebstrap works with subordinate ids, for which a closed home is closed: its scratch directory lies in /tmp.
    mode=root
    [ "$(id -u)" = 0 ] || mode=unshare
    HOME=/ TMPDIR=/tmp mmdebstrap --quiet --variant=extract --mode=$mode --include=nginx-light,base-files,base-passwd,libc6 \
        --extract-hook='cp "$1/usr/share/base-passwd/passwd.master" "$1/etc/passwd"
            cp "$1/usr/share/base-passwd/group.master" "$1/etc/group"
            rm -rf "$1/usr/share/doc" "$1/usr/share/man" "$1/usr/share/locale" "$1/var/cache/apt" "$1/var/lib/apt/lists"' \
        --format=tar bookworm "$work/nginx/rootfs.tar"
    $kubeplay build --quiet -t localhost/nginx:1 -f "$here/nginx/Containerfile" "$work/nginx"
fi

if ! $kubeplay image exists localhost/etcd:1; then
    echo "building localhost/etcd:1 from Debian's etcd-server and etcd-client"
    mkdir -p "$work/etcd/root" "$work/packages"
    # three packages unpacked, without their scripts: the last is what the first two are linked with
    (cd "$work/packages" && apt-get -qq -o APT::Sandbox::User=root download etcd-server etcd-client libc6)
    for package in "$work/packages"/*.deb; do
        dpkg-deb -x "$package" "$work/etcd/root"
    done
    rm -rf "$work/etcd/root/usr/share" "$work/etcd/root/etc" "$work/etcd/root/var"
    $kubeplay build --quiet -t localhost/etcd:1 -f "$here/etcd/Containerfile" "$work/etcd"
fi

#!/bin/sh
# Build the example's two images from Debian packages, without a registry; does nothing when they are there.
set -eu
kubeplay=${KUBEPLAY:-kubeplay}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if ! $kubeplay image exists localhost/busybox:1; then
    echo "building localhost/busybox:1 from busybox-static"
    mkdir -p "$work/busybox/bin" "$work/busybox/etc" "$work/busybox/tmp" "$work/busybox/root"
    cp "$(command -v busybox)" "$work/busybox/bin/busybox"
    for applet in $(busybox --list); do [ "$applet" = busybox ] || ln -s busybox "$work/busybox/bin/$applet"; done
    echo 'root:x:0:0:root:/root:/bin/sh' > "$work/busybox/etc/passwd"
    echo 'root:x:0:' > "$work/busybox/etc/group"
    chmod 1777 "$work/busybox/tmp"
    tar -C "$work/busybox" --numeric-owner --owner=0 --group=0 -cf "$work/busybox.tar" .
    $kubeplay image import -c 'ENV PATH=/bin' -c 'CMD ["sh"]' "$work/busybox.tar" localhost/busybox:1
fi

if ! $kubeplay image exists localhost/nginx:1; then
    echo "building localhost/nginx:1 from Debian's nginx-light (some seconds)"
    # "extract" unpacks the packages without running their scripts: enough for one static web server.
    mmdebstrap --quiet --variant=extract --mode=root --include=nginx-light,base-files,base-passwd,libc6 \
        --extract-hook='cp "$1/usr/share/base-passwd/passwd.master" "$1/etc/passwd"
            cp "$1/usr/share/base-passwd/group.master" "$1/etc/group"
            rm -rf "$1/usr/share/doc" "$1/usr/share/man" "$1/usr/share/locale" "$1/var/cache/apt" "$1/var/lib/apt/lists"' \
        --format=tar bookworm "$work/nginx.tar"
    $kubeplay image import -c 'ENV PATH=/usr/sbin:/usr/bin:/sbin:/bin' -c 'CMD ["nginx","-g","daemon off;"]' \
        -c 'STOPSIGNAL SIGQUIT' -c 'EXPOSE 80' "$work/nginx.tar" localhost/nginx:1
fi

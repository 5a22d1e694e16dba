#!/bin/sh
# Install what kubeplay and its tests need: Debian packages through apt, Python packages into .venv. Idempotent.
# usage: tools/setup.sh [run|test|bench]
set -eu
cd "$(dirname "$0")/.."
what=${1:-run}

packages="python3-venv conmon runc nftables unbound haproxy busybox-static catatonit mmdebstrap iproute2 curl ca-certificates gnupg"
# uidmap, passt and slirp4netns: for ordinary users (Debian 12: slirp4netns is taken). fuse-overlayfs stands in where the kernel refuses, and is tested.
[ "$what" = run ] && [ "$(id -u)" = 0 ] || packages="$packages uidmap passt slirp4netns"
[ "$what" = run ] || packages="$packages fuse-overlayfs skopeo e2fsprogs util-linux docker-registry apache2-utils openssl git podman libarchive-tools systemd"
[ "$what" = bench ] && packages="$packages buildah"

missing=""
for package in $packages; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
if [ -n "$missing" ]; then
    if [ "$(id -u)" != 0 ]; then
        echo "setup: packages are missing, and only an administrator can install them: apt-get install --no-install-recommends$missing" >&2
        exit 1
    fi
    echo "setup: installing$missing"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    # shellcheck disable=SC2086 -- a list of names
    apt-get install -y -qq --no-install-recommends $missing >/dev/null
fi

stamp=.venv/.kubeplay-lock
if ! cmp -s requirements.lock "$stamp" || [ ! -x .venv/bin/kubeplay ]; then
    echo "setup: installing the locked Python packages into .venv"
    # Debian's Python is optimised by profiles (a play takes a tenth less CPU), and ordinary users may run it wherever root's own lies.
    python=python3
    if /usr/bin/python3 -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then python=/usr/bin/python3; fi
    [ -x .venv/bin/python ] || "$python" -m venv .venv
    .venv/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock 2>&1 | grep -v '^WARNING: Location' || true
    .venv/bin/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --config-settings editable_mode=compat -e . 2>&1 | grep -v '^WARNING: Location' || true
    rm -f .venv/lib/python3*/site-packages/distutils-precedence.pth  # setuptools' hook costs every start of the interpreter 5 ms
    .venv/bin/kubeplay --version >/dev/null
    cp requirements.lock "$stamp"
fi
tools/launcher.sh
# Where PYTHONDONTWRITEBYTECODE is set nothing would ever be compiled, and every command would compile everything anew.
.venv/bin/python -m compileall -q kubeplay
.venv/bin/python -m kubeplay.cli.preload >/dev/null

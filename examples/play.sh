#!/bin/sh
# The main job: build the images, play the stack, wait until it is ready, fetch its page, show what is there.
set -eu
cd "$(dirname "$0")/.."
PATH="$PWD/.venv/bin:$PATH"
file=examples/manifests/10-guestbook.yaml
url=http://127.0.0.1:30080/

examples/images/build.sh
echo "\$ kubeplay play kube --wait-ready $file"
kubeplay play kube --wait-ready --timeout 60s "$file"
echo
echo "\$ kubeplay pod ps"
kubeplay pod ps
echo
echo "\$ curl $url"
curl --silent --show-error --fail --retry 30 --retry-delay 1 --retry-all-errors "$url"
echo
front=$(kubeplay pod ps -q --no-trunc --filter label=tier=front --format '{{.Name}}' | head -n 1)
echo "\$ kubeplay logs $front -c nginx --tail 3"
kubeplay logs "$front" -c nginx --tail 3
echo
echo "\$ kubeplay generate kube guestbook-front"
kubeplay generate kube guestbook-front
echo
echo "The page is at $url and the stack keeps running; 'make down' removes it."

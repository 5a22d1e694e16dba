"""A kustomization of 600 objects (300 files, a prefix, labels, an image, a patch) and a small one, against `kubectl kustomize`.

The figure to reach is the issue's: within 5 times of kubectl, whichever is installed; Debian's 1.20 has kustomize 2.0.3.
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable

from bench import kubectl
from bench.peers import Peer, kubeplay

FILES, RATIO = 300, 5.0
OBJECTS = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web-{at}
spec:
  replicas: 2
  selector:
    matchLabels: {{app: web-{at}}}
  template:
    metadata:
      labels: {{app: web-{at}}}
    spec:
      containers:
      - name: web
        image: shop/web:1
        envFrom: [{{configMapRef: {{name: settings}}}}]
        ports: [{{containerPort: 80}}]
---
apiVersion: v1
kind: Service
metadata:
  name: web-{at}
spec:
  selector: {{app: web-{at}}}
  ports: [{{port: 80}}]
"""
# `bases`, because kustomize 2.0.3 takes no directories as resources
OVERLAY = """\
bases: [../base]
namePrefix: p-
namespace: shop
commonLabels: {team: a}
images: [{name: shop/web, newTag: "2"}]
patchesJson6902:
- target: {group: apps, version: v1, kind: Deployment, name: web-0}
  path: replicas.json
"""
REPLICAS = '[{"op": "replace", "path": "/spec/replicas", "value": 5}]\n'


def measure(work: str, rounds: int, chosen: Callable[[str], bool]) -> list[dict[str, object]]:
    """Both sizes, alternating with kubectl where there is one, after a round that does not count."""
    ours, peer = kubeplay(f"{work}/kustomize"), kubectl.find()
    return [
        _case(title, _written(f"{work}/kustomize-{files}", files), ours, peer, rounds)
        for files in (1, FILES)
        if chosen(title := f"kustomize, {2 * files + 1} objects")
    ]


def _written(directory: str, files: int) -> str:
    os.makedirs(f"{directory}/base", exist_ok=True)
    os.makedirs(f"{directory}/overlay", exist_ok=True)
    names = [f"web-{at}.yaml" for at in range(files)]
    for at, name in enumerate(names):
        _write(f"{directory}/base/{name}", OBJECTS.format(at=at))
    generator = "configMapGenerator: [{name: settings, literals: [a=b]}]\n"
    _write(f"{directory}/base/kustomization.yaml", f"resources: [{', '.join(names)}]\n{generator}")
    _write(f"{directory}/overlay/kustomization.yaml", OVERLAY)
    _write(f"{directory}/overlay/replicas.json", REPLICAS)
    return f"{directory}/overlay"


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def _case(title: str, directory: str, ours: Peer, peer: Peer | None, rounds: int) -> dict[str, object]:
    samples: dict[str, list[float]] = {"kubeplay": [], "peer": []}
    for number in range(rounds + 1):
        done = ours.run("kustomize", directory)
        assert "team: a" in done.output, done.output[-500:]
        theirs = peer.run("kustomize", directory) if peer is not None else None
        if number:
            samples["kubeplay"].append(done.seconds * 1000)
            samples["peer"] += [theirs.seconds * 1000] if theirs is not None else []
    middle = statistics.median(samples["kubeplay"])
    row: dict[str, object] = {"case": title, "kubeplay": middle, "unit": "ms", "target": RATIO, "samples": samples}
    if peer is None:
        print(f"{title:32} kubeplay {middle:8.1f} ms  (no kubectl)", flush=True)
        return row
    other = statistics.median(samples["peer"])
    verdict = "ok" if middle <= RATIO * other else "MISSED"
    figures = f"kubeplay {middle:8.1f} ms  {peer.name} {other:8.1f} ms  ratio {middle / other:5.2f}"
    print(f"{title:32} {figures}  target {RATIO}  {verdict}", flush=True)
    return row | {"peer": other, "peer_name": peer.name, "ratio": middle / other}

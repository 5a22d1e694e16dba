"""Files in volumes of real containers: projected and downwardAPI volumes, tokens, and who may read them (VO2-VO6, DA2, DA3)."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.covers import covers
from tests.support.kubeplay import Machine, playing

pytestmark = pytest.mark.root

MANIFEST = """
apiVersion: v1
kind: ConfigMap
metadata: {name: conf}
data: {a: text-a, b.txt: text-b}
---
apiVersion: v1
kind: Secret
metadata: {name: hidden}
stringData: {user: me, pass: word}
---
apiVersion: v1
kind: Pod
metadata:
  name: files
  labels: {zeta: "1", app: x}
  annotations: {note: "two\\nlines"}
spec:
  terminationGracePeriodSeconds: 0
  volumes:
  - name: all
    projected:
      defaultMode: 0444
      sources:
      - configMap: {name: conf, optional: false, items: [{key: a, path: c/a, mode: 0640}, {key: b.txt, path: b}]}
      - secret: {name: hidden, items: [{key: user, path: s/user, mode: 0400}]}
      - secret: {name: nosuch, optional: true}
      - downwardAPI:
          items:
          - {path: d/name, mode: 0600, fieldRef: {apiVersion: v1, fieldPath: metadata.name}}
          - {path: d/cpu, resourceFieldRef: {containerName: main, resource: limits.cpu, divisor: 1m}}
      - serviceAccountToken: {path: token, audience: vault, expirationSeconds: 1200}
      - configMap: {name: kube-root-ca.crt, items: [{key: ca.crt, path: ca.crt}]}
  - name: self
    downwardAPI:
      defaultMode: 0440
      items:
      - {path: labels, fieldRef: {apiVersion: v1, fieldPath: metadata.labels}}
      - {path: annotations, fieldRef: {fieldPath: metadata.annotations}}
      - {path: uid, mode: 0600, fieldRef: {fieldPath: metadata.uid}}
      - {path: memory, resourceFieldRef: {containerName: main, resource: limits.memory, divisor: 1Mi}}
  containers:
  - name: main
    image: busybox:1
    command: [sleep, "1000"]
    resources: {limits: {cpu: 250m, memory: 64Mi}}
    volumeMounts: [{name: all, mountPath: /all}, {name: self, mountPath: /self}, {name: all, mountPath: /one, subPath: s/user}]
---
apiVersion: v1
kind: Pod
metadata: {name: grouped}
spec:
  terminationGracePeriodSeconds: 0
  securityContext: {runAsUser: 1000, fsGroup: 2000}
  volumes:
  - {name: t, projected: {sources: [{serviceAccountToken: {path: token}}, {downwardAPI: {items: [{path: name, fieldRef: {fieldPath: metadata.name}}]}}]}}
  containers: [{name: main, image: "busybox:1", command: [sleep, "1000"], volumeMounts: [{name: t, mountPath: /t}]}]
---
apiVersion: v1
kind: Pod
metadata: {name: plain}
spec:
  automountServiceAccountToken: true
  terminationGracePeriodSeconds: 0
  securityContext: {runAsUser: 1000}
  volumes: [{name: t, projected: {sources: [{serviceAccountToken: {path: token}}]}}]
  containers: [{name: main, image: "busybox:1", command: [sleep, "1000"], volumeMounts: [{name: t, mountPath: /t}]}]
"""  # noqa: E501


@pytest.fixture(scope="module")
def kp(tmp_path_factory: pytest.TempPathFactory, image_archives: dict[str, Path]) -> Iterator[Machine]:
    with playing(tmp_path_factory.mktemp("kp"), image_archives, MANIFEST) as made:
        yield made


@covers("""volume.projected.defaultMode volume.projected.sources[].configMap.name volume.projected.sources[].configMap.optional
volume.projected.sources[].configMap.items[].key volume.projected.sources[].configMap.items[].path
volume.projected.sources[].configMap.items[].mode volume.projected.sources[].secret.name volume.projected.sources[].secret.optional
volume.projected.sources[].secret.items[].key volume.projected.sources[].secret.items[].path
volume.projected.sources[].secret.items[].mode volume.projected.sources[].downwardAPI.items[].path
volume.projected.sources[].downwardAPI.items[].mode volume.projected.sources[].downwardAPI.items[].fieldRef.fieldPath
volume.projected.sources[].downwardAPI.items[].fieldRef.apiVersion
volume.projected.sources[].downwardAPI.items[].resourceFieldRef.resource
volume.projected.sources[].downwardAPI.items[].resourceFieldRef.containerName
volume.projected.sources[].downwardAPI.items[].resourceFieldRef.divisor""")
def test_vo6_several_sources_in_one_directory(kp: Machine) -> None:
    files = "c/a b s/user d/name d/cpu ca.crt"
    assert kp.sh("files", f"cd /all; for f in {files}; do echo $f $(stat -c %a ..data/$f) $(cat $f); done").splitlines() == [
        "c/a 640 text-a", "b 444 text-b", "s/user 400 me", "d/name 600 files", "d/cpu 444 250", "ca.crt 444",
    ]  # fmt: skip
    assert kp.sh("files", "readlink /all/c; readlink /all/b; stat -c %a /all") == "..data/c\n..data/b\n1777"
    mount = kp.sh("files", "grep ' /all ' /proc/mounts")
    assert mount.startswith("tmpfs ") and " ro," in mount
    assert kp.sh("files", "cat /one; touch /all/x 2>&1; true").startswith("metouch: /all/x: Read-only")


@covers("""volume.downwardAPI.defaultMode volume.downwardAPI.items[].path volume.downwardAPI.items[].mode
volume.downwardAPI.items[].fieldRef.fieldPath volume.downwardAPI.items[].fieldRef.apiVersion
volume.downwardAPI.items[].resourceFieldRef.resource volume.downwardAPI.items[].resourceFieldRef.containerName
volume.downwardAPI.items[].resourceFieldRef.divisor""")
def test_da2_da3_what_the_pod_is_told_about_itself(kp: Machine) -> None:
    assert kp.sh("files", "cat /self/labels; stat -c %a /self/..data/labels /self/..data/uid") == 'app="x"\nzeta="1"440\n600'
    lines = kp.sh("files", "cat /self/annotations").splitlines()
    assert [line for line in lines if not line.startswith("kubernetes.io/config.seen=")] == [
        'kubernetes.io/config.source="api"', 'note="two\\nlines"',
    ]  # fmt: skip
    assert kp.sh("files", "cat /self/uid") == kp.pod("files")["metadata"]["uid"]
    assert kp.sh("files", "cat /self/memory") == "64"


@covers("""volume.projected.sources[].serviceAccountToken.path volume.projected.sources[].serviceAccountToken.audience
volume.projected.sources[].serviceAccountToken.expirationSeconds""")
def test_vo6_a_token_says_who_the_pod_is(kp: Machine) -> None:
    part = kp.sh("files", "cat /all/token").split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    assert claims["aud"] == ["vault"] and claims["exp"] - claims["iat"] == 1200
    assert claims["sub"] == "system:serviceaccount:default:default"
    assert claims["kubernetes.io"]["pod"] == {"name": "files", "uid": kp.pod("files")["metadata"]["uid"]}


def test_vo6_who_may_read_a_token_record_039_219(kp: Machine) -> None:
    look = "stat -c '%a %u:%g' /t/token /t/..data/token /t; cat /t/token | wc -c"
    lines = kp.sh("grouped", look).splitlines()
    assert lines[:3] == ["777 1000:2000", "640 1000:2000", "3777 0:2000"] and int(lines[3]) > 500
    lines = kp.sh("plain", look).splitlines()
    assert lines[:3] == ["777 1000:0", "600 1000:0", "1777 0:0"] and int(lines[3]) > 500
    assert kp.sh("files", "stat -c '%a %u:%g' /all/..data/token") == "444 0:0"
    assert kp.sh("grouped", "stat -c '%a %u:%g' /t/..data/name /t/..data/") == "644 0:2000\n2755 0:2000"


@covers("pod.automountServiceAccountToken")
def test_df3_a_token_where_the_pod_asks_for_it(kp: Machine) -> None:
    where = "/var/run/secrets/kubernetes.io/serviceaccount"
    said = kp.sh("plain", f"cd {where}; stat -c '%a %u %n' ..data/*; cat namespace ca.crt; wc -c < token").splitlines()
    assert said[:3] == ["644 0 ..data/ca.crt", "644 0 ..data/namespace", "600 1000 ..data/token"]
    assert said[3].startswith("default") and int(said[3].removeprefix("default") or said[4]) > 500
    assert kp.sh("files", f"ls {where} 2>&1; true").endswith("No such file or directory")

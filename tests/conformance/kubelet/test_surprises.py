"""What kubernetes-surprises.md says of a real kubelet at run time, beyond the recorded cases: one play, a table of pods."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.support.images import image_archives
from tests.support.root import Root

__all__ = ["image_archives"]

pytestmark = [pytest.mark.root, pytest.mark.slow]
OK, CONFIG = ("terminated", "Completed", 0), ("waiting", "CreateContainerConfigError", None)
CREATING = ("waiting", "ContainerCreating", None)
CAPS = "grep -E '^Cap(Prm|Bnd)' /proc/self/status | cut -f2"
MOUNT = {"o": "/o", "s": "/s", "e": "/e", "t": "/t", "k": "/k"}
VOLUMES = [
    {"name": "o", "configMap": {"name": "none", "optional": True}},
    {"name": "s", "secret": {"secretName": "sec", "defaultMode": 0o400}},
    {"name": "e", "emptyDir": {}},
    {"name": "t", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
    {"name": "k", "configMap": {"name": "cm", "items": [
        {"key": "a", "path": "two"}, {"key": "ref", "path": "two"}, {"key": "a", "path": "d/e", "mode": 0o440},
    ]}},
]  # fmt: skip
ALL_MOUNTS = [{"name": name, "mountPath": path} for name, path in MOUNT.items()]
OBJECTS = [
    {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "cm"},
        "data": {"a": "alpha", "ref": "ref"},
        "binaryData": {"bin": "AP8="},
    },
    {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "sec"}, "stringData": {"user": "admin"}},
]


class Row(NamedTuple):
    """A pod, how its container `main` stands in the end, and what it said (None = not looked at; a message where it waits)."""

    name: str
    container: dict[str, Any]
    said: str | None = None
    state: tuple[str, str, int | None] = OK
    spec: dict[str, Any] = {}
    phase: str = ""


def sh(script: str, **fields: Any) -> dict[str, Any]:
    return {"command": ["sh", "-c", script], **fields}


def env(**values: str) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in values.items()]


def key(kind: str, name: str) -> list[dict[str, Any]]:
    return [{"name": "B", "valueFrom": {kind: {"name": "cm" if kind.startswith("config") else "sec", "key": name}}}]


def security(**fields: Any) -> dict[str, Any]:
    return {"securityContext": fields}


def error(reason: str, code: int) -> tuple[str, str, int]:
    return "terminated", reason, code


LINK = {"initContainers": [
    {"name": "i", "image": "busybox:1", "command": ["sh", "-c", "mkdir /d/r; touch /d/r/f; ln -s r /d/in; ln -s /etc /d/out"],
     "volumeMounts": [{"name": "e", "mountPath": "/d"}]},
], "volumes": VOLUMES}  # fmt: skip
TABLE = [
    # commands and environment
    Row(
        "dollars",
        {"command": ["echo", "$$(A) $$$(A) $$$ $$ $() $(A $(X) $(HOSTNAME) $(A)"], "env": env(A="va")},
        "$(A) $va $$ $ $() $(A $(X) $(HOSTNAME) va\n",
    ),
    Row(
        "refs",
        {
            "command": ["sh", "-c", "echo $E1 $E2 $E3 $E4 $E5 $A"],
            "envFrom": [{"prefix": "P_", "secretRef": {"name": "sec"}}],
            "env": env(E1="$(P_user)", E2="$(E3)", E3="3", E4="$(E4)", E5="$(PATH)") + env(A="1") + env(A="$(A)-2"),
        },
        "admin $(E3) 3 $(E4) $(PATH) 1-2\n",
    ),
    Row("odd-names", {"command": ["env"], "env": env(**{"a.b-c": "1", "1num": "2", "HOSTNAME": "mine"})}, None),
    Row("cmd-only", {"image": "entry:1", "command": ["echo", "only"]}, "only\n"),
    Row("no-command", {"image": "data:1"}, state=("waiting", "CreateContainerError", None)),
    Row("binary-key", sh("id", env=key("configMapKeyRef", "bin")), "couldn't find key bin in ConfigMap default/cm", CONFIG),
    Row("no-key", sh("id", env=key("secretKeyRef", "none")), "couldn't find key none in Secret default/sec", CONFIG),
    Row("no-map", sh("id", envFrom=[{"configMapRef": {"name": "none"}}]), 'configmap "none" not found', CONFIG),
    # ends
    Row("missing", {"command": ["/no/such"]}, None, error("StartError", 128), phase="Failed"),
    Row("missing-always", {"command": ["/no/such"]}, None, ("waiting", "RunContainerError", None), {"restartPolicy": "Always"}, "Running"),
    Row("on-failure", sh("exit 0"), "", OK, {"restartPolicy": "OnFailure"}, "Succeeded"),
    Row("own-kill", sh("kill -9 1; kill -TERM 1; echo alive; exit 6"), "alive\n", error("Error", 6), phase="Failed"),
    Row(
        "fallback",
        sh("for i in $(seq 1 100); do echo l$i; done; exit 3", terminationMessagePolicy="FallbackToLogsOnError"),
        None,
        error("Error", 3),
    ),
    Row(
        "no-image",
        sh("id", image="nosuch:1", imagePullPolicy="Never"),
        'Container image "nosuch:1" is not present with pull policy of Never',
        ("waiting", "ErrImageNeverPull", None),
        phase="Pending",
    ),
    Row("bad-image", sh("id", image="Bad Image!!"), None, ("waiting", "InvalidImageName", None)),
    Row("no-pull", sh("id", image="registry.test/none:1"), None, ("waiting", "ImagePullBackOff", None)),
    # who and what it may
    Row("root-image", sh("id", **security(runAsNonRoot=True)), "container has runAsNonRoot and image will run as root", CONFIG),
    Row("root-user", sh("id", **security(runAsNonRoot=True, runAsUser=0)), "container's runAsUser breaks non-root policy", CONFIG),
    Row(
        "named-user",
        {"image": "nameduser:1", **security(runAsNonRoot=True)},
        "container has runAsNonRoot and image has non-numeric user (app)",
        CONFIG,
    ),
    Row("caps-all", sh(CAPS, **security(capabilities={"add": ["ALL"], "drop": ["KILL", "bogus"]})), None),
    Row("caps-none", sh(CAPS, **security(capabilities={"drop": ["all"], "add": ["chown", "CAP_KILL"]})), "0000000000000001\n" * 2),
    Row("caps-user", sh(CAPS, **security(runAsUser=1234, capabilities={"add": ["SYS_TIME"]})), "0000000000000000\n00000000aa0425fb\n"),
    Row(
        "groups",
        sh("id; echo $HOME $USER", **security(runAsUser=1234, runAsGroup=77)),
        "uid=1234(app) gid=77 groups=5,77,3456(extra)\n/home/app\n",
        spec=security(supplementalGroups=[5]),
    ),
    # volumes
    Row(
        "modes",
        sh("stat -c '%a' /o /s /e /t /k /s/..data/user /k/..data/d/e; cat /k/two; ls -A /o | wc -l", volumeMounts=ALL_MOUNTS),
        "777\n1777\n777\n1777\n777\n400\n440\nref2\n",
        spec={"volumes": VOLUMES},
    ),
    Row(
        "fs-group",
        sh(
            "stat -c '%a %g' /s /e /t /k /s/..data/user /k/..data/two; cat /s/user; head -c 2000000 /dev/zero 2>&- > /t/x; echo $?",
            volumeMounts=ALL_MOUNTS,
        ),
        "3777 2000\n2777 2000\n3777 2000\n2777 2000\n440 2000\n644 2000\nadmin1\n",
        spec={"volumes": VOLUMES, **security(runAsUser=1000, fsGroup=2000)},
    ),
    Row(
        "nested",
        sh("ls /s /s/x/y; touch /s/x/y/f && echo w", volumeMounts=[{"name": "s", "mountPath": "/s"}, {"name": "e", "mountPath": "/s/x/y"}]),
        "/s:\nuser\nx\n\n/s/x/y:\nw\n",
        spec={"volumes": VOLUMES},
    ),
    Row(
        "stacked",
        sh(
            "ls /d; ls -d /rel /c",
            volumeMounts=[{"name": n, "mountPath": p} for n, p in (("e", "/d"), ("s", "/d/"), ("e", "rel"), ("e", "/b/../c"))],
        ),
        "user\n/c\n/rel\n",
        spec={"volumes": VOLUMES},
    ),
    Row(
        "no-item",
        sh("id", volumeMounts=ALL_MOUNTS[:1]),
        None,
        CREATING,
        {"volumes": [{"name": "o", "secret": {"secretName": "sec", "items": [{"key": "z", "path": "z"}]}}]},
    ),
    Row(
        "no-host-dir",
        sh("id", volumeMounts=ALL_MOUNTS[:1]),
        None,
        CREATING,
        {"volumes": [{"name": "o", "hostPath": {"path": "/no/such", "type": "Directory"}}]},
    ),
    Row("link-in", sh("ls /l", volumeMounts=[{"name": "e", "mountPath": "/l", "subPath": "in"}]), "f\n", spec=LINK),
    Row(
        "link-out",
        sh("ls /l", volumeMounts=[{"name": "e", "mountPath": "/l", "subPath": "out"}]),
        'failed to prepare subPath for volumeMount "e" of container "main"',
        CONFIG,
        LINK,
    ),
    # the machine's face
    Row(
        "sysctl",
        sh("cat /proc/sys/net/ipv4/ip_local_port_range"),
        "2000\t3000\n",
        spec=security(sysctls=[{"name": "net/ipv4/ip_local_port_range", "value": "2000 3000"}]),
    ),
    Row(
        "fqdn",
        sh("hostname; tail -4 /etc/hosts | cut -f2-"),
        "h.sub.default.svc.cluster.local\nh.sub.default.svc.cluster.local\th\n\n# Entries added by HostAliases.\nx\tz\n",
        spec={"hostname": "h", "subdomain": "sub", "setHostnameAsFQDN": True, "hostAliases": [{"ip": "1.2.3.4", "hostnames": ["x", "z"]}]},
    ),
    Row("n" * 40 + "." + "m" * 40, sh("hostname"), "n" * 40 + "." + "m" * 22 + "\n"),
    Row(
        "no-dns",
        sh("cat /etc/resolv.conf"),
        "search a.b\nnameserver 9.9.9.9\noptions ndots:2 edns0\n",
        spec={
            "dnsPolicy": "None",
            "dnsConfig": {"nameservers": ["9.9.9.9"], "searches": ["a.b"], "options": [{"name": "ndots", "value": "2"}, {"name": "edns0"}]},
        },
    ),
    Row(
        "init-fails",
        sh("id"),
        None,
        ("waiting", "PodInitializing", None),
        {"initContainers": [{"name": "i", "image": "busybox:1", "command": ["false"]}]},
        "Failed",
    ),
]


def manifest() -> str:
    pods = [
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": row.name},
         "spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "busybox:1", **row.container}], **row.spec}}
        for row in TABLE
    ]  # fmt: skip
    forbidden = {"restartPolicy": "Never", "containers": [{"name": "main", "image": "busybox:1"}],
                 **security(sysctls=[{"name": "kernel.msgmax", "value": "1"}])}  # fmt: skip
    pods.append({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "forbidden"}, "spec": forbidden})
    return "\n---\n".join(json.dumps(each) for each in (*OBJECTS, *pods))


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory, image_archives: dict[str, Path]) -> Iterator[Root]:
    root = Root(tmp_path_factory.mktemp("kp"))
    try:
        for path in image_archives.values():
            root.engine.images.load(str(path))
        root.play(manifest(), keep_on_failure=True)
        yield root
    finally:
        root.destroy()


def _state(root: Root, pod: str) -> tuple[str, str, int | None]:
    kind, detail = next(iter(root.container(pod)["state"].items()))
    return kind, detail.get("reason"), detail.get("exitCode")


@pytest.mark.parametrize("row", TABLE, ids=[row.name[:20] for row in TABLE])
def test_as_on_a_kubelet(played: Root, row: Row) -> None:
    played.wait(lambda: _state(played, row.name) == row.state)
    if row.phase:
        played.wait(lambda: played.status(row.name)["phase"] == row.phase)
    if row.said is not None and row.state[0] == "waiting":
        assert played.container(row.name)["state"]["waiting"]["message"].startswith(row.said)
    elif row.said is not None:
        played.wait(lambda: played.log(row.name) == row.said)


def test_a_forbidden_sysctl_fails_the_pod_before_it_has_containers(played: Root) -> None:
    status = played.status("forbidden")
    assert (status["phase"], status["reason"], "containerStatuses" in status) == ("Failed", "SysctlForbidden", False)


def test_env_shows_odd_names_and_the_set_host_name(played: Root) -> None:
    played.wait(lambda: {"a.b-c=1", "1num=2", "HOSTNAME=mine"} <= set(played.log("odd-names").splitlines()))


def test_added_all_without_one(played: Root) -> None:
    permitted, bounding = played.wait(lambda: played.log("caps-all").split())
    assert permitted == bounding and int(permitted, 16).bit_count() > 30 and not int(permitted, 16) & 1 << 5  # CAP_KILL


def test_the_message_of_a_failure_is_the_end_of_its_log(played: Root) -> None:
    detail = played.wait(lambda: played.container("fallback")["state"].get("terminated"))
    assert detail["message"].splitlines() == [f"l{i}" for i in range(21, 101)]

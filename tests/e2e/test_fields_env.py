"""Command, arguments, environment and the downward API, as real containers see them (EN, CM, DA, SV4)."""

from __future__ import annotations

import os
import re
import uuid
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
data: {one: conf-one, two: conf-two, shared: from-conf, "1num": odd, 'ref': '$(two)'}
binaryData: {bin: AAEC}
---
apiVersion: v1
kind: Secret
metadata: {name: hidden}
type: Opaque
data: {shared: ZnJvbS1zZWNyZXQ=, pass: czNjcjN0}
stringData: {plain: text}
---
apiVersion: v1
kind: Service
metadata: {name: web-front}
spec:
  selector: {app: nothing}
  ports: [{name: http, port: 80}, {name: adm-in, port: 81}]
---
apiVersion: v1
kind: Pod
metadata:
  name: env
  labels: {app: env, example.com/tier: back}
  annotations: {note: 'a "quoted" note'}
spec:
  restartPolicy: Never
  containers:
  - name: main
    image: busybox:1
    command: [/bin/env]
    envFrom:
    - {configMapRef: {name: conf}}
    - {secretRef: {name: hidden}}
    - {prefix: P_, configMapRef: {name: conf, optional: false}}
    - {prefix: Q-, secretRef: {name: hidden}}
    - {configMapRef: {name: nosuch, optional: true}}
    - {secretRef: {name: nosuch, optional: true}}
    env:
    - {name: A, value: a}
    - {name: two, value: over-$(A)}
    - {name: B, value: "$(A)-$(one)-$(LATER)-$(B)"}
    - {name: LATER, value: later}
    - {name: DOLLARS, value: "$$(A) $$$(A) $A $(A $() $$"}
    - {name: IMAGE, value: "$(PATH)"}
    - {name: SERVICE, value: "$(WEB_FRONT_SERVICE_HOST)"}
    - {name: a.b-c, value: odd}
    - {name: "!@#%", value: odder}
    - {name: A, value: second}
    - {name: EMPTY}
    - {name: KEY, valueFrom: {configMapKeyRef: {name: conf, key: ref}}}
    - {name: PASS, valueFrom: {secretKeyRef: {name: hidden, key: pass}}}
    - {name: NO1, valueFrom: {configMapKeyRef: {name: nosuch, key: k, optional: true}}}
    - {name: NO2, valueFrom: {configMapKeyRef: {name: conf, key: nosuch, optional: true}}}
    - {name: NO3, valueFrom: {secretKeyRef: {name: hidden, key: nosuch, optional: true}}}
    - {name: NO4, valueFrom: {configMapKeyRef: {name: conf, key: bin, optional: true}}}
    - {name: HOSTNAME, value: mine}
  - {name: image-says, image: entry:1}
  - {name: args-only, image: entry:1, args: [a, b c]}
  - {name: command-only, image: entry:1, command: [/bin/echo, mine]}
  - name: both
    image: entry:1
    command: [/bin/echo, $(V), $(KEY)]
    args: [$(V), $$(V), $(NOSUCH), $(HOSTNAME), ""]
    env: [{name: V, value: val}, {name: KEY, valueFrom: {configMapKeyRef: {name: conf, key: ref}}}]
  - {name: directory, image: entry:1, workingDir: /made/here}
---
apiVersion: v1
kind: Pod
metadata:
  name: down
  labels: {app: env, example.com/tier: back}
  annotations: {note: 'a "quoted" note'}
spec:
  restartPolicy: Never
  enableServiceLinks: false
  containers:
  - name: main
    image: busybox:1
    command: [/bin/env]
    resources: {limits: {cpu: 1500m, memory: 64Mi}, requests: {cpu: 125m, memory: 32M, ephemeral-storage: 1Gi}}
    env:
    - {name: F_NAME, valueFrom: {fieldRef: {apiVersion: v1, fieldPath: metadata.name}}}
    - {name: F_NAMESPACE, valueFrom: {fieldRef: {fieldPath: metadata.namespace}}}
    - {name: F_UID, valueFrom: {fieldRef: {fieldPath: metadata.uid}}}
    - {name: F_LABEL, valueFrom: {fieldRef: {fieldPath: "metadata.labels['example.com/tier']"}}}
    - {name: F_NOTE, valueFrom: {fieldRef: {fieldPath: "metadata.annotations['note']"}}}
    - {name: F_NONE, valueFrom: {fieldRef: {fieldPath: "metadata.labels['nosuch']"}}}
    - {name: F_NODE, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}
    - {name: F_ACCOUNT, valueFrom: {fieldRef: {fieldPath: spec.serviceAccountName}}}
    - {name: F_HOST, valueFrom: {fieldRef: {fieldPath: status.hostIP}}}
    - {name: F_HOSTS, valueFrom: {fieldRef: {fieldPath: status.hostIPs}}}
    - {name: F_IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
    - {name: F_IPS, valueFrom: {fieldRef: {fieldPath: status.podIPs}}}
    - {name: SEEN, value: "$(F_NAME)!"}
    - {name: R_CPU, valueFrom: {resourceFieldRef: {resource: limits.cpu}}}
    - {name: R_MILLI, valueFrom: {resourceFieldRef: {resource: limits.cpu, divisor: 1m}}}
    - {name: R_REQUEST, valueFrom: {resourceFieldRef: {resource: requests.cpu}}}
    - {name: R_MEMORY, valueFrom: {resourceFieldRef: {resource: limits.memory}}}
    - {name: R_MI, valueFrom: {resourceFieldRef: {resource: limits.memory, divisor: 1Mi}}}
    - {name: R_CEIL, valueFrom: {resourceFieldRef: {resource: requests.memory, divisor: 1Mi}}}
    - {name: R_DISK, valueFrom: {resourceFieldRef: {resource: requests.ephemeral-storage, divisor: 1Mi}}}
    - {name: R_OTHER, valueFrom: {resourceFieldRef: {containerName: second, resource: limits.cpu, divisor: 1m}}}
    - {name: R_NODE, valueFrom: {resourceFieldRef: {containerName: third, resource: limits.cpu}}}
    - {name: R_UNSET, valueFrom: {resourceFieldRef: {containerName: third, resource: requests.cpu}}}
  - {name: second, image: busybox:1, command: [/bin/true], resources: {limits: {cpu: 250m}}}
  - {name: third, image: busybox:1, command: [/bin/env]}
"""


@pytest.fixture(scope="module")
def kp(tmp_path_factory: pytest.TempPathFactory, image_archives: dict[str, Path]) -> Iterator[Machine]:
    with playing(tmp_path_factory.mktemp("env"), image_archives, MANIFEST, images=("busybox", "entry")) as machine:
        yield machine


@pytest.fixture(scope="module")
def env(kp: Machine) -> dict[str, str]:
    return variables(kp, "env")


@pytest.fixture(scope="module")
def down(kp: Machine) -> dict[str, str]:
    return variables(kp, "down")


def variables(kp: Machine, pod: str, container: str = "main") -> dict[str, str]:
    assert kp.ended(pod, container)["exitCode"] == 0
    return dict(line.split("=", 1) for line in kp.log(pod, container).splitlines())


@covers("container.envFrom[].configMapRef.name container.envFrom[].secretRef.name ConfigMap.data{} Secret.data{} Secret.stringData{}")
def test_en1_env_from_in_list_order_then_env(env: dict[str, str]) -> None:
    assert (env["one"], env["plain"], env["pass"]) == ("conf-one", "text", "s3cr3t")
    assert env["shared"] == "from-secret"  # the later one of envFrom
    assert env["two"] == "over-a"  # env over envFrom
    assert env["A"] == "second" and env["EMPTY"] == ""
    assert "bin" not in env  # binaryData is no variable


@covers("container.envFrom[].prefix")
def test_en1_prefix(env: dict[str, str]) -> None:
    assert (env["P_one"], env["P_shared"], env["Q-shared"]) == ("conf-one", "from-conf", "from-secret")


@covers("container.env[].name container.env[].value")
def test_en2_references_see_what_comes_before(env: dict[str, str]) -> None:
    assert env["B"] == "a-conf-one-$(LATER)-$(B)"
    assert env["DOLLARS"] == "$(A) $a $A $(A $() $"
    assert env["IMAGE"] == "$(PATH)"  # the image's variables are not seen
    assert env["ref"] == env["KEY"] == "$(two)"  # what comes by reference is not expanded
    assert re.fullmatch(r"\d+\.\d+\.\d+\.\d+", env["SERVICE"])


@covers("container.env[].valueFrom.configMapKeyRef.name container.env[].valueFrom.configMapKeyRef.key "
        "container.env[].valueFrom.secretKeyRef.name container.env[].valueFrom.secretKeyRef.key")  # fmt: skip
def test_en1_values_by_key(env: dict[str, str]) -> None:
    assert (env["KEY"], env["PASS"]) == ("$(two)", "s3cr3t")


def test_en4_any_printable_name_and_the_runtime_s_own_are_overridden(env: dict[str, str]) -> None:
    assert (env["a.b-c"], env["!@#%"], env["1num"], env["P_1num"]) == ("odd", "odder", "odd", "odd")
    assert env["HOSTNAME"] == "mine" and env["PATH"] == "/bin"


@covers("container.env[].valueFrom.configMapKeyRef.optional container.env[].valueFrom.secretKeyRef.optional "
        "container.envFrom[].configMapRef.optional container.envFrom[].secretRef.optional")  # fmt: skip
def test_en5_optional_ones_that_are_not_there_are_left_out(env: dict[str, str]) -> None:
    assert not {"NO1", "NO2", "NO3", "NO4"} & set(env)


@pytest.mark.parametrize(("source", "message"), [
    ("env: [{name: A, valueFrom: {secretKeyRef: {name: hidden, key: nosuch}}}]", "couldn't find key nosuch in Secret default/hidden"),
    ("env: [{name: A, valueFrom: {configMapKeyRef: {name: conf, key: bin}}}]", "couldn't find key bin in ConfigMap default/conf"),
    ("envFrom: [{secretRef: {name: nosuch}}]", 'secret "nosuch" not found'),
    ("env: [{name: A, valueFrom: {configMapKeyRef: {name: nosuch, key: k}}}]", 'configmap "nosuch" not found'),
])  # fmt: skip
def test_en5_a_required_one_keeps_the_container_waiting(kp: Machine, source: str, message: str) -> None:
    text = f"""
apiVersion: v1
kind: Pod
metadata: {{name: wait}}
spec: {{terminationGracePeriodSeconds: 0, containers: [{{name: main, image: "busybox:1", command: [/bin/true], {source}}}]}}
"""
    kp.play(text, "--keep-on-failure", status=None)
    assert kp.status("wait")["state"] == {"waiting": {"reason": "CreateContainerConfigError", "message": message}}
    kp.down(text)


def test_en6_a_change_of_the_config_map_shows_after_a_restart(kp: Machine) -> None:
    conf = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: fixed}\ndata: {k: %s}\n"
    pod = """
apiVersion: v1
kind: Pod
metadata: {name: fixed}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: main, image: "busybox:1", command: [sleep, "1000"], envFrom: [{configMapRef: {name: fixed}}]}]
"""
    kp.play(conf % "old" + "---" + pod)
    kp.play(conf % "new", "--replace")
    assert kp.sh("fixed", "echo $k") == "old"
    kp("restart", "-t", "0", "fixed")
    assert kp.sh("fixed", "echo $k") == "new"
    kp.down(pod)


@covers("container.command[] container.args[] container.workingDir")
def test_cm1_cm2_command_args_and_directory(kp: Machine) -> None:
    def said(container: str) -> list[str]:
        assert kp.ended("env", container)["exitCode"] == 0
        return kp.log("env", container).splitlines()

    assert said("image-says")[:2] == ["entry defcmd", "/tmp"]
    assert said("args-only")[0] == "entry a b c"
    assert said("command-only") == ["mine"]
    assert said("directory")[:2] == ["entry defcmd", "/made/here"]


def test_en3_command_and_args_are_expanded_with_the_final_environment(kp: Machine) -> None:
    assert kp.ended("env", "both")["exitCode"] == 0
    assert kp.log("env", "both") == "val $(two) val $(V) $(NOSUCH) $(HOSTNAME) \n"


@covers(
    "container.env[].valueFrom.fieldRef.fieldPath container.env[].valueFrom.fieldRef.apiVersion meta.name meta.labels{} meta.annotations{}"
)
def test_da1_field_refs(kp: Machine, down: dict[str, str]) -> None:
    pod = kp.pod("down")
    assert (down["F_NAME"], down["F_NAMESPACE"], down["F_ACCOUNT"]) == ("down", "default", "default")
    assert down["F_UID"] == pod["metadata"]["uid"] == str(uuid.UUID(down["F_UID"]))
    assert (down["F_LABEL"], down["F_NOTE"], down["F_NONE"]) == ("back", 'a "quoted" note', "")
    assert down["F_NODE"] == os.uname().nodename.lower()
    assert down["F_HOST"] == down["F_HOSTS"] == pod["status"]["hostIP"]
    assert down["F_IP"] == down["F_IPS"] and re.fullmatch(r"\d+\.\d+\.\d+\.\d+", down["F_IP"])
    assert down["SEEN"] == "down!"


@covers("container.env[].valueFrom.resourceFieldRef.resource container.env[].valueFrom.resourceFieldRef.divisor "
        "container.env[].valueFrom.resourceFieldRef.containerName")  # fmt: skip
def test_da3_resource_field_refs_are_rounded_up(down: dict[str, str]) -> None:
    assert (down["R_CPU"], down["R_MILLI"], down["R_REQUEST"]) == ("2", "1500", "1")
    assert (down["R_MEMORY"], down["R_MI"], down["R_CEIL"], down["R_DISK"]) == (str(64 << 20), "64", "31", "1024")
    assert (down["R_OTHER"], down["R_NODE"], down["R_UNSET"]) == ("250", str(os.cpu_count()), "0")


@covers("pod.enableServiceLinks")
def test_sv4_variables_of_services(kp: Machine, env: dict[str, str]) -> None:
    ip = env["SERVICE"]
    links = {name: value for name, value in env.items() if name.startswith("WEB_FRONT_")}
    assert links == {
        "WEB_FRONT_SERVICE_HOST": ip, "WEB_FRONT_SERVICE_PORT": "80",
        "WEB_FRONT_SERVICE_PORT_HTTP": "80", "WEB_FRONT_SERVICE_PORT_ADM_IN": "81",
        "WEB_FRONT_PORT": f"tcp://{ip}:80",
        "WEB_FRONT_PORT_80_TCP": f"tcp://{ip}:80", "WEB_FRONT_PORT_80_TCP_PROTO": "tcp", "WEB_FRONT_PORT_80_TCP_PORT": "80",
        "WEB_FRONT_PORT_80_TCP_ADDR": ip,
        "WEB_FRONT_PORT_81_TCP": f"tcp://{ip}:81", "WEB_FRONT_PORT_81_TCP_PROTO": "tcp", "WEB_FRONT_PORT_81_TCP_PORT": "81",
        "WEB_FRONT_PORT_81_TCP_ADDR": ip,
    }  # fmt: skip
    without = variables(kp, "down", "third")
    assert not any(name.startswith("WEB_FRONT_") for name in without) and "KUBERNETES_SERVICE_HOST" in without

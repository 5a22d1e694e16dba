"""What becomes of every field of a compose file."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

import kubeplay.convert
from kubeplay.convert.shape import SERVICE
from kubeplay.errors import InvalidInput
from kubeplay.kube import check, write
from kubeplay.kube.portable.model import PLACEHOLDER
from tests.support.compose import HERE, container, converted, notes, one, pod, service

READY = {"periodSeconds": 30, "timeoutSeconds": 30, "failureThreshold": 3}


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ("command: sh -c 'echo $$HOME'", {"args": ["sh", "-c", "echo $HOME"]}),
        ("command: [echo, '$$(x) $$$$']", {"args": ["echo", "$$(x) $$$$"]}),
        ("entrypoint: /run.sh\ncommand: [a]", {"command": ["/run.sh"], "args": ["a"]}),
        ("entrypoint: []\ncommand: [a]", {"command": ["a"]}),
        (
            "environment: [A=1, B=, 'C=x=y']",
            {"env": [{"name": "A", "value": "1"}, {"name": "B", "value": ""}, {"name": "C", "value": "x=y"}]},
        ),
        (
            "environment: {A: true, B: 1.0, C: no, D: 010}",
            {
                "env": [
                    {"name": "A", "value": "true"},
                    {"name": "B", "value": "1"},
                    {"name": "C", "value": "no"},
                    {"name": "D", "value": "8"},
                ]
            },
        ),
        ("working_dir: /w\nstdin_open: true\ntty: true", {"workingDir": "/w", "stdin": True, "tty": True}),
        ("pull_policy: always", {"imagePullPolicy": "Always"}),
        ("user: 1000:1001", {"securityContext": {"runAsUser": 1000, "runAsGroup": 1001}}),
        ("privileged: true\nread_only: true", {"securityContext": {"privileged": True, "readOnlyRootFilesystem": True}}),
        (
            "cap_add: [net_admin]\ncap_drop: [CAP_CHOWN, ALL]",
            {"securityContext": {"capabilities": {"add": ["NET_ADMIN"], "drop": ["CHOWN", "ALL"]}}},
        ),
        (
            "security_opt: ['no-new-privileges:true', seccomp=unconfined, 'apparmor:mine', 'label:type:t']",
            {
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "seccompProfile": {"type": "Unconfined"},
                    "appArmorProfile": {"type": "Localhost", "localhostProfile": "mine"},
                    "seLinuxOptions": {"type": "t"},
                }
            },
        ),
        (
            "mem_limit: 512m\ncpus: 0.5\nmem_reservation: 64m",
            {"resources": {"limits": {"cpu": "500m", "memory": "512Mi"}, "requests": {"memory": "64Mi"}}},
        ),
        ("cpu_quota: 50000", {"resources": {"limits": {"cpu": "500m"}}}),
        (
            "mem_limit: 1g\ndeploy: {resources: {limits: {memory: 2g}, reservations: {cpus: '0.1'}}}",
            {"resources": {"limits": {"memory": "2Gi"}, "requests": {"cpu": "100m"}}},
        ),
        (
            "healthcheck: {test: curl -f localhost}",
            {"readinessProbe": {"exec": {"command": ["/bin/sh", "-c", "curl -f localhost"]}, **READY}},
        ),
        (
            "healthcheck: {test: [CMD, a, '$$(b)'], interval: 1m30s, timeout: 500ms, retries: 5, start_period: 2m}",
            {"readinessProbe": {"exec": {"command": ["a", "$$(b)"]}, "periodSeconds": 90, "timeoutSeconds": 1, "failureThreshold": 5}},
        ),
        ("healthcheck: {disable: true, test: [CMD, a]}", {}),
        ("healthcheck: {test: [NONE]}", {}),
        ("stop_signal: INT", {"lifecycle": {"stopSignal": "SIGINT"}}),
        (
            "post_start: [{command: ./up.sh}]\npre_stop: [{command: [a, b]}]",
            {"lifecycle": {"postStart": {"exec": {"command": ["./up.sh"]}}, "preStop": {"exec": {"command": ["a", "b"]}}}},
        ),
        (
            "expose: [80, '53/udp', '90-91']",
            {"ports": [{"containerPort": 80}, {"containerPort": 53, "protocol": "UDP"}, {"containerPort": 90}, {"containerPort": 91}]},
        ),
        (
            "ports: [{target: 80, published: 8080, mode: host, host_ip: 10.0.0.1}]",
            {"ports": [{"containerPort": 80, "hostPort": 8080, "hostIP": "10.0.0.1"}]},
        ),
    ],
)
def test_the_container(fields: str, wanted: dict[str, Any]) -> None:
    assert container(fields) == {"name": "web", "image": "web:1", **wanted}


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ("hostname: box", {"hostname": "box"}),
        (
            "dns: 9.9.9.9\ndns_search: [a.b]\ndns_opt: ['ndots:2', rotate]",
            {
                "dnsConfig": {
                    "nameservers": ["9.9.9.9"],
                    "searches": ["a.b"],
                    "options": [{"name": "ndots", "value": "2"}, {"name": "rotate"}],
                }
            },
        ),
        (
            "extra_hosts: ['a:10.0.0.1', 'b=10.0.0.1', 'c:[::1]']",
            {"hostAliases": [{"ip": "10.0.0.1", "hostnames": ["a", "b"]}, {"ip": "::1", "hostnames": ["c"]}]},
        ),
        ("extra_hosts: {a: 10.0.0.1}", {"hostAliases": [{"ip": "10.0.0.1", "hostnames": ["a"]}]}),
        ("network_mode: host", {"hostNetwork": True, "dnsPolicy": "ClusterFirstWithHostNet"}),
        ("pid: host\nipc: host", {"hostPID": True, "hostIPC": True}),
        ("ipc: shareable", {}),
        ("stop_grace_period: 1m30s", {"terminationGracePeriodSeconds": 90}),
        ("stop_signal: SIGINT", {"os": {"name": "linux"}}),
        ("group_add: [1, '20']", {"securityContext": {"supplementalGroups": [1, 20]}}),
        ("sysctls: {net.ipv4.tcp_syncookies: 1}", {"securityContext": {"sysctls": [{"name": "net.ipv4.tcp_syncookies", "value": "1"}]}}),
        ("deploy: {placement: {constraints: [node.labels.disk == ssd]}}", {"nodeSelector": {"disk": "ssd"}}),
    ],
)
def test_the_pod(fields: str, wanted: dict[str, Any]) -> None:
    found = pod(service(fields))
    found.pop("containers")
    assert found == {"enableServiceLinks": False, **wanted}


FILES: dict[str, str | bytes] = {
    "conf/a.conf": "text",
    "logo.png": b"\xff\x00",
    "src/": "",
    "../out.conf": "no",
    "big": "x" * (1 << 20 | 1),
}


@pytest.mark.parametrize(
    ("fields", "volume", "mount"),
    [
        ("volumes: [/scratch]", {"emptyDir": {}}, {"mountPath": "/scratch"}),
        ("tmpfs: '/run:size=64m,mode=755'", {"emptyDir": {"medium": "Memory", "sizeLimit": "64Mi"}}, {"mountPath": "/run"}),
        ("shm_size: 1g", {"emptyDir": {"medium": "Memory", "sizeLimit": "1Gi"}}, {"mountPath": "/dev/shm"}),
        (
            "volumes: [{type: tmpfs, target: /t, tmpfs: {size: 1m}}]",
            {"emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
            {"mountPath": "/t"},
        ),
        ("volumes: ['./src:/src']", {"hostPath": {"path": f"{HERE}/src", "type": "Directory"}}, {"mountPath": "/src"}),
        (
            "volumes: ['./new:/new:ro,z']",
            {"hostPath": {"path": f"{HERE}/new", "type": "DirectoryOrCreate"}},
            {"mountPath": "/new", "readOnly": True},
        ),
        ("volumes: ['~/x:/x']", {"hostPath": {"path": "/home/me/x", "type": "DirectoryOrCreate"}}, {"mountPath": "/x"}),
        (
            "volumes: ['/:/host:rslave']",
            {"hostPath": {"path": "/", "type": "DirectoryOrCreate"}},
            {"mountPath": "/host", "mountPropagation": "HostToContainer"},
        ),
        (
            "volumes: [{type: bind, source: ./no, target: /n, bind: {create_host_path: false}}]",
            {"hostPath": {"path": f"{HERE}/no", "type": "Directory"}},
            {"mountPath": "/n"},
        ),
        (
            "volumes: ['./conf/a.conf:/etc/a.conf']",
            {"hostPath": {"path": f"{HERE}/conf/a.conf", "type": "File"}},
            {"mountPath": "/etc/a.conf"},
        ),
        (
            "volumes: ['./conf/a.conf:/etc/b.conf:ro']",
            {"configMap": {"name": "a-conf"}},
            {"mountPath": "/etc/b.conf", "subPath": "a.conf", "readOnly": True},
        ),
        ("volumes: ['./big:/big:ro']", {"hostPath": {"path": f"{HERE}/big", "type": "File"}}, {"mountPath": "/big", "readOnly": True}),
        ("volumes: [{type: image, source: 'i:1', target: /i}]", {"image": {"reference": "i:1"}}, {"mountPath": "/i"}),
        ("volumes: ['data:/d']", {"persistentVolumeClaim": {"claimName": "data"}}, {"mountPath": "/d"}),
        (
            "volumes: [{type: volume, source: data, target: /d, read_only: true, volume: {subpath: a/b}}]",
            {"persistentVolumeClaim": {"claimName": "data"}},
            {"mountPath": "/d", "readOnly": True, "subPath": "a/b"},
        ),
        ("volumes: ['ram:/d']", {"emptyDir": {"medium": "Memory"}}, {"mountPath": "/d"}),
        ("volumes: ['bound:/d']", {"hostPath": {"path": "/srv", "type": "DirectoryOrCreate"}}, {"mountPath": "/d"}),
        (
            "configs: [app]",
            {"configMap": {"name": "app", "items": [{"key": "app", "path": "app", "mode": 0o444}]}},
            {"mountPath": "/app", "subPath": "app", "readOnly": True},
        ),
        (
            "secrets: [{source: key, target: k, mode: 0400}]",
            {"secret": {"secretName": "key", "items": [{"key": "key", "path": "key", "mode": 0o400}]}},
            {"mountPath": "/run/secrets/k", "subPath": "key", "readOnly": True},
        ),
    ],
)
def test_volumes(fields: str, volume: dict[str, Any], mount: dict[str, Any]) -> None:
    rest = (
        "volumes:\n  data: {}\n  ram: {driver_opts: {type: tmpfs}}\n  bound: {driver_opts: {type: none, o: bind, device: /srv}}\n"
        "configs: {app: {content: hello}}\nsecrets: {key: {file: ./key}}\n"
    )
    found = pod(service(fields, rest, files=FILES))
    name = found["volumes"][0]["name"]
    assert found["volumes"] == [{"name": name, **volume}]
    assert found["containers"][0]["volumeMounts"] == [{"name": name, **mount}]


def test_what_is_in_files() -> None:
    fields = "volumes: ['./conf/a.conf:/a:ro', './logo.png:/b:ro']\nsecrets: [key, var]\n"
    fields += "env_file: [{path: a.env}, {path: no.env, required: false}]"
    rest = "secrets: {key: {file: ./key}, var: {environment: TOKEN}}\n"
    files = {**FILES, "a.env": "A=1\nB=${A}2\n", "key": "hush"}
    made = service(fields, rest, files=files)
    assert one(made, "ConfigMap", "a-conf")["data"] == {"a.conf": "text"}
    assert one(made, "ConfigMap", "logo-png")["binaryData"] == {"logo.png": base64.b64encode(b"\xff\x00").decode()}
    assert one(made, "ConfigMap", "a-env")["data"] == {"A": "1", "B": "12"}
    assert "no.env is not there, and need not be" in notes(made)
    assert one(made, "Secret", "key")["data"] == {"key": PLACEHOLDER}
    shown = service(fields, rest, files=files, environ={"TOKEN": "t"}, show_secrets=True)
    assert base64.b64decode(one(shown, "Secret", "key")["data"]["key"]) == b"hush"
    assert base64.b64decode(one(shown, "Secret", "var")["data"]["var"]) == b"t"


def test_a_file_from_outside_is_said_and_one_that_is_bound_stays_where_it_is() -> None:
    made = service("env_file: /etc/shadow\nvolumes: ['/etc/shadow:/s:ro']", files={"/etc/shadow": "root=x"})
    assert "/etc/shadow is outside of the project, and its content is in the manifest" in notes(made)
    assert pod(made)["volumes"][0]["hostPath"]["path"] == "/etc/shadow"


def test_secrets_are_not_read_unless_shown() -> None:
    made = service("secrets: [key]", "secrets: {key: {file: ./not-there}}")
    assert one(made, "Secret")["data"] == {"key": PLACEHOLDER}


def test_external_things_are_expected() -> None:
    rest = "volumes: {data: {external: true, name: real}}\nsecrets: {key: {external: true}}\nconfigs: {app: {external: true}}\n"
    made = service("volumes: ['data:/d']\nsecrets: [key]\nconfigs: [app]", rest)
    assert {obj["kind"] for obj in made.objects} == {"Deployment", "Service"}
    assert pod(made)["volumes"][0]["persistentVolumeClaim"]["claimName"] == "real"
    assert notes(made).count("must be there") == 3


def ports(made: Any, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = one(made, "Service", name)["spec"].get("ports", [])
    return found


def test_every_service_has_a_name_for_the_others() -> None:
    spec = one(service(""), "Service", "web")["spec"]
    assert spec == {"clusterIP": "None", "selector": {"app": "web"}}
    assert ports(service("expose: [80]"), "web") == [{"port": 80, "targetPort": 80}]


@pytest.mark.parametrize(
    ("written", "name", "spec", "wanted"),
    [
        ("80:80", "web", {"type": "LoadBalancer"}, [{"port": 80, "targetPort": 80}]),
        ("8080:80", "web-published", {"type": "LoadBalancer"}, [{"port": 8080, "targetPort": 80}]),
        ("0.0.0.0:8080:80", "web-published", {"type": "LoadBalancer"}, [{"port": 8080, "targetPort": 80}]),
        ("53:53/udp", "web", {"type": "LoadBalancer"}, [{"port": 53, "targetPort": 53, "protocol": "UDP"}]),
        (
            "127.0.0.1:80:80",
            "web-local",
            {"type": "LoadBalancer", "loadBalancerSourceRanges": ["127.0.0.0/8"]},
            [{"port": 80, "targetPort": 80}],
        ),
        (
            "[::1]:80:80",
            "web-local",
            {"type": "LoadBalancer", "loadBalancerSourceRanges": ["127.0.0.0/8"]},
            [{"port": 80, "targetPort": 80}],
        ),
        ("10.1.2.3:80:80", "web-10-1-2-3", {"type": "LoadBalancer", "loadBalancerIP": "10.1.2.3"}, [{"port": 80, "targetPort": 80}]),
        ("80", "web-node", {"type": "NodePort"}, [{"port": 80, "targetPort": 80}]),
        (
            "8000-8001:80-81",
            "web-published",
            {"type": "LoadBalancer"},
            [{"port": 8000, "targetPort": 80, "name": "8000"}, {"port": 8001, "targetPort": 81, "name": "8001"}],
        ),
        ("8000-9000:80", "web-published", {"type": "LoadBalancer"}, [{"port": 8000, "targetPort": 80}]),
    ],
)
def test_published_ports(written: str, name: str, spec: dict[str, Any], wanted: list[dict[str, Any]]) -> None:
    found = one(service(f"ports: ['{written}']"), "Service", name)["spec"]
    assert found.pop("ports") == wanted
    assert found == {"selector": {"app": "web"}, **spec}


@pytest.mark.parametrize(
    "written", ["a:b", "1:2:3:4:5", "80/icmp", "99999:80", "0:0", "80-70:1", "1-3:1-2", "1-5000", "[::1:80:80", "-1:80"]
)
def test_ports_that_are_none(written: str) -> None:
    with pytest.raises(InvalidInput, match="fault"):
        service(f"ports: ['{written}']")


def test_aliases_links_and_names_of_containers() -> None:
    text = """
services:
  db: {image: d, expose: [5432], container_name: shop-db, networks: {default: {aliases: [database, web]}}}
  web: {image: w, links: ["db:store"]}
"""
    made = converted(text)
    for name in ("db", "database", "shop-db", "store"):
        assert one(made, "Service", name)["spec"]["selector"] == {"app": "db"}
    assert "the alias web is another's name too, who keeps it" in notes(made)


@pytest.mark.parametrize(
    ("fields", "kind", "wanted"),
    [
        ("", "Deployment", {}),
        ("restart: always", "Deployment", {}),
        ("restart: unless-stopped", "Deployment", {}),
        ("scale: 3", "Deployment", {"replicas": 3}),
        ("deploy: {replicas: 0}", "Deployment", {"replicas": 0}),
        ("deploy: {mode: global}", "DaemonSet", {}),
        ("labels: {kompose.controller.type: daemonset}", "DaemonSet", {}),
        ("restart: no", "Job", {"backoffLimit": 0}),
        ("restart: 'no'", "Job", {"backoffLimit": 0}),
        ("restart: on-failure:3", "Job", {"backoffLimit": 3}),
        ("restart: on-failure", "Job", {"backoffLimit": 2147483647}),
        ("deploy: {restart_policy: {condition: on-failure, max_attempts: 2}}", "Job", {"backoffLimit": 2}),
        ("deploy: {mode: replicated-job, replicas: 4}", "Job", {"completions": 4, "parallelism": 4, "backoffLimit": 2147483647}),
        (
            "deploy: {update_config: {parallelism: 2, order: start-first}}",
            "Deployment",
            {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 2, "maxUnavailable": 0}}},
        ),
        (
            "deploy: {update_config: {parallelism: 2}}",
            "Deployment",
            {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 2}}},
        ),
        ("volumes: ['data:/d']", "Deployment", {"strategy": {"type": "Recreate"}}),
        ("network_mode: host", "Deployment", {"strategy": {"type": "Recreate"}}),
    ],
)
def test_workloads(fields: str, kind: str, wanted: dict[str, Any]) -> None:
    spec = dict(one(service(fields, "volumes: {data: {}}"), kind, "web")["spec"])
    spec.pop("template")
    assert spec.pop("selector", None) == (None if kind == "Job" else {"matchLabels": {"app": "web"}})
    assert spec == wanted


def test_labels_are_annotations_as_any_text_goes() -> None:
    made = service("labels: {traefik.rule: 'Host(`x`)', 'b d': c}\nannotations: {a/b: c}\ndeploy: {labels: {own: er}}")
    found = one(made, "Deployment")
    assert found["spec"]["template"]["metadata"]["annotations"] == {"traefik.rule": "Host(`x`)", "a/b": "c"}
    assert found["metadata"]["annotations"] == {"own": "er"}
    assert "b d is no name of an annotation" in notes(made)


WAITING = """
services:
  web:
    image: w
    depends_on:
      db: {condition: service_healthy}
      setup: {condition: service_completed_successfully}
      cache: {condition: service_started}
      queue: {condition: service_healthy}
  setup: {image: s, command: [setup], ports: ["1:1"], volumes: ["data:/d"], depends_on: {db: {condition: service_healthy}}}
  db: {image: d, expose: [5432], healthcheck: {test: [CMD, ok]}}
  cache: {image: c}
  queue: {image: q}
volumes: {data: {}}
x-kubeplay: {wait-image: mine/busybox}
"""


def test_who_waits_has_init_containers() -> None:
    made = converted(WAITING)
    found = pod(made, "web")
    assert [(init["name"], init["image"]) for init in found["initContainers"]] == [
        ("wait-for-db", "mine/busybox"),
        ("setup", "s"),
        ("wait-for-queue", "mine/busybox"),
    ]
    assert found["initContainers"][0]["command"] == ["sh", "-c", "until nc -w 2 db 5432 -e true; do sleep 1; done"]
    assert found["initContainers"][1] == {
        "name": "setup",
        "image": "s",
        "args": ["setup"],
        "volumeMounts": [{"name": "data", "mountPath": "/d"}],
    }
    assert found["volumes"] == [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
    assert "setup" not in {obj["metadata"]["name"] for obj in made.objects}
    assert "cache: Kubernetes starts all at once" in notes(made)
    assert "queue has no healthcheck in the file" in notes(made)


COLLIDING = """
services:
  web:
    image: w
    ports: ["8080:80"]
    volumes: ["/cache", "./a/conf:/conf", "a_b:/1", "a-b:/2"]
    secrets: [k_y, k-y]
    configs: [c_f, c-f]
    depends_on: {first: {condition: service_completed_successfully}}
  web-published: {image: p}
  first: {image: f, volumes: ["/cache", "./b/conf:/conf", "a_b:/1"]}
volumes: {a_b: {}, a-b: {}}
secrets: {k_y: {file: ./1}, k-y: {file: ./2}}
configs: {c_f: {content: "1"}, c-f: {content: "2"}}
"""


def test_names_that_become_the_same_are_told_apart() -> None:
    made = converted(COLLIDING)
    assert len({(obj["kind"], obj["metadata"]["name"]) for obj in made.objects}) == len(made.objects)
    found = pod(made, "web")
    assert len({volume["name"] for volume in found["volumes"]}) == len(found["volumes"])
    mounts = {mount["mountPath"]: mount["name"] for mount in found["containers"][0]["volumeMounts"]}
    first = {mount["mountPath"]: mount["name"] for mount in found["initContainers"][0]["volumeMounts"]}
    assert first["/1"] == mounts["/1"] != mounts["/2"]  # one volume of the project's
    assert first["/cache"] != mounts["/cache"] and first["/conf"] != mounts["/conf"]
    assert [obj["data"] for obj in made.objects if obj["kind"] == "ConfigMap"] == [{"c_f": "1"}, {"c-f": "2"}]
    assert not check.inspect(write.documents([obj for obj in made.objects if obj["kind"] != "Secret"]).encode(), "f").faults


def test_services_cannot_wait_in_a_circle() -> None:
    text = "services:\n  a: {image: x, depends_on: {b: {condition: service_completed_successfully}}}\n"
    text += "  b: {image: x, depends_on: {c: {condition: service_completed_successfully}}}\n"
    text += "  c: {image: x, depends_on: {b: {condition: service_completed_successfully}}}\n"
    with pytest.raises(InvalidInput, match="in a circle"):
        converted(text)


def test_services_of_one_network_are_one_pod() -> None:
    text = """
services:
  vpn: {image: v, ports: ["80:80"], cap_add: [NET_ADMIN]}
  web: {image: w, network_mode: "service:vpn", depends_on: [vpn], volumes: ["/d"]}
"""
    made = converted(text)
    found = pod(made, "vpn")
    assert [one["name"] for one in found["containers"]] == ["vpn", "web"]
    assert {obj["metadata"]["name"] for obj in made.objects} == {"vpn"}


def test_networks_that_keep_services_apart_are_policies() -> None:
    text = """
services:
  web: {image: w, ports: ["80:80"], networks: [front, back]}
  db: {image: d, networks: [back]}
  other: {image: o, networks: [front]}
networks: {front: {}, back: {internal: true}}
"""
    made = converted(text)
    names = {obj["metadata"]["name"] for obj in made.objects if obj["kind"] == "NetworkPolicy"}
    assert names == {"network-front", "network-back", "published-web", "internal-db"}
    label = one(made, "Deployment", "db")["spec"]["template"]["metadata"]["labels"]
    assert label == {"app": "db", "compose-network/back": "true"}
    assert one(made, "NetworkPolicy", "network-back")["spec"]["ingress"] == [
        {"from": [{"podSelector": {"matchLabels": {"compose-network/back": "true"}}}]}
    ]
    assert not [
        obj for obj in converted(text.replace("[front]", "[back]").replace("internal: true", "")).objects if obj["kind"] == "NetworkPolicy"
    ]


def test_komposes_labels() -> None:
    fields = (
        "ports: ['8080:80']\nlabels:\n  kompose.service.type: nodeport\n  kompose.service.expose: a.example,b.example\n  kompose.other: x"
    )
    made = service(fields)
    spec = one(made, "Service")["spec"]
    assert (spec["type"], spec["ports"]) == ("NodePort", [{"port": 8080, "targetPort": 80}])
    rules = one(made, "Ingress")["spec"]["rules"]
    assert [rule["host"] for rule in rules] == ["a.example", "b.example"]
    assert rules[0]["http"]["paths"][0]["backend"]["service"] == {"name": "web", "port": {"number": 8080}}
    assert "kompose.other is not read" in notes(made)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (
            "build: {context: ./src, dockerfile: D, target: t, args: {A: 1}}",
            "kubeplay build -t web:1 -f /project/shop/src/D --target t --build-arg A=1 /project/shop/src",
        ),
        ("user: app:1", "app is a name: a manifest takes numbers only"),
        ("ulimits: {nofile: 1}", "services.web.ulimits: no manifest sets ulimits"),
        ("devices: [/dev/x]", "services.web.devices"),
        ("init: true", "services.web.init"),
        ("logging: {driver: x}", "services.web.logging"),
        ("sysctls: [kernel.shmmax=1]", "kernel.shmmax is none of those"),
        ("security_opt: ['seccomp:./p.json']", "no manifest can say this"),
        ("extra_hosts: ['h:host-gateway']", "only addresses can be said"),
        ("healthcheck: {interval: 5s}", "tunes a check of the image's own"),
        ("healthcheck: {test: a, interval: 1500ms}", "Kubernetes counts whole seconds: 2"),
        ("network_mode: none", "a pod always has a network"),
        ("group_add: [video]", "video is a name"),
        ("volumes: [{type: npipe, source: a, target: /b}]", "a mount of type npipe"),
        ("deploy: {placement: {constraints: [node.role == manager]}}", "only labels of nodes"),
        ("gpus: all", "nvidia.com/gpu"),
        ("environment: [NOT_SET]", "NOT_SET has no value here"),
        ("hostname: Big_Box", "a host name has a-z"),
        ("volumes_from: ['container:x']", "only services of this project"),
        ("pull_policy: daily", "Kubernetes knows"),
    ],
)
def test_what_cannot_be_said_is_listed(fields: str, said: str) -> None:
    made = service(fields)
    found = [note for note in made.notes if said in str(note)]
    assert found, notes(made)
    assert found[0].about == ("Deployment", "web")
    assert found[0].line > 0


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ("volumes: ['none:/d']", "undefined volume 'none'"),
        ("secrets: [none]", "undefined secret 'none'"),
        ("depends_on: [none]", "no service 'none'"),
        ("restart: sometimes", "'sometimes' is none of"),
        ("mem_limit: lots", "'lots' is not a size"),
        ("cpus: many", "not a number of CPUs"),
        ("healthcheck: {test: [a]}", "begins with CMD"),
        ("volumes: ['data:rel']", "undefined volume"),
        ("tmpfs: rel", "a mount's target is a whole path"),
        ("networks: [none]", "not declared"),
        ("env_file: none.env", "no such file"),
        ("deploy: {mode: x}", "'x' is none of"),
        ("depends_on: {web: {condition: x}}", "'x' is none of"),
        ("ports: ['1.2.3:1:1']", "'1.2.3' is no address"),
        ("privileged: maybe", "true or false"),
        ('command: "sh -c \'x"', "No closing quotation"),
        ("environment: {A: [b]}", "must be a text"),
        ("deploy: {replicas: -1x}", "a whole number"),
        ("stop_grace_period: long", "not a duration"),
        ("volumes: [3]", "a volume is a text"),
        ("secrets: [{target: x}]", "a name, or a mapping"),
    ],
)
def test_faults(fields: str, message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        service(fields)
    assert message in str(caught.value)
    assert caught.value.faults[0].line > 0


def test_a_name_that_kubernetes_does_not_take_is_said() -> None:
    made = converted("services: {My_App: {image: x}}")
    assert "services.My_App: is called my-app: others that call it My_App must be changed" in notes(made)
    assert one(made, "Deployment", "my-app")


def test_what_is_made_is_what_a_cluster_takes() -> None:
    """All of it at once, with a namespace, through the reading of kubectl and the rules of an API server."""
    fields = "ports: ['80:80', '53:53/udp']\nvolumes: ['data:/d', /s]\nconfigs: [app]\nhealthcheck: {test: a}\nstop_signal: INT\nscale: 2"
    made = service(fields, "volumes: {data: {}}\nconfigs: {app: {content: x}}")
    assert not check.inspect(write.documents(made.objects).encode(), "f").faults
    assert {obj["metadata"].get("namespace") for obj in service("", namespace="shop").objects} == {"shop"}


def test_every_field_of_the_compose_spec_is_read_or_said() -> None:
    """None is dropped in silence: each is named where it is read or spoken of, or is listed here as idle."""
    source = "".join(path.read_text() for path in Path(kubeplay.convert.__path__[0]).glob("*.py")).replace("'", '"')
    idle = {"attach", "pull_refresh_after"}  # about docker compose's own terminal and its own pulls
    assert {field for field in SERVICE if f'"{field}"' not in source} <= idle


_DONE = "{condition: service_completed_successfully}"


def test_a_circle_that_nobody_else_waits_for() -> None:
    text = f"services:\n  d: {{image: x}}\n  a: {{image: x, depends_on: {{b: {_DONE}}}}}\n  b: {{image: x, depends_on: {{a: {_DONE}}}}}\n"
    with pytest.raises(InvalidInput, match="in a circle: a, b"):
        converted(text)


def test_what_many_wait_for_is_looked_at_once() -> None:
    """Each layer doubles the ways down: two to the thirtieth of them."""
    text = "services:\n" + "".join(
        f"  {side}{at}: {{image: x" + (f", depends_on: {{a{at + 1}: {_DONE}, b{at + 1}: {_DONE}}}" if at < 30 else "") + "}\n"
        for at in range(31) for side in "ab"
    )  # fmt: skip
    names = [one["name"] for one in pod(converted(text), "a0")["initContainers"]]
    assert names[:4] == ["a30", "b30", "a29", "b29"] and len(names) == 60


@pytest.mark.parametrize("field", [f"depends_on: {{s%d: {_DONE}}}", "extends: s%d"])
def test_chains_that_are_too_long_are_refused(field: str) -> None:
    text = "services:\n" + "".join(f"  s{at}: {{image: x, {field % (at + 1)}}}\n" for at in range(150)) + "  s150: {image: x}\n"
    with pytest.raises(InvalidInput) as caught:
        converted(text)
    assert any("more than 100 services" in fault.message for fault in caught.value.faults)

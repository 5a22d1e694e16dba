"""run's flags as a Pod: what each becomes, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from kubeplay.errors import InvalidInput, KubeplayError, NotFound, NotSupported
from kubeplay.play.imperative import words
from tests.support.machines import built, container, through


# the program
def test_words_are_arguments_of_the_image_and_an_entrypoint_replaces_it() -> None:
    assert container("a", "b")["args"] == ["a", "b"] and "command" not in container("a")
    assert container("b", entrypoint="/bin/sh") == {**container("b"), "command": ["/bin/sh"]}
    assert container("c", entrypoint='["sh", "-c"]')["command"] == ["sh", "-c"]
    assert container("ls", "-l", entrypoint="")["command"] == ["ls", "-l"]
    with pytest.raises(InvalidInput, match="needs a command"):
        container(entrypoint="")


@pytest.mark.parametrize("text", ["$(HOME)", "$$", "a$$(B)c", "$", "x$y", "$$(A)$"])
def test_what_a_shell_or_program_gets_is_what_was_typed(text: str) -> None:
    """Kubernetes would fill in $(NAME) and halve $$ (EN2); podman does neither."""
    from kubeplay.kube.expand import expand

    def meant(written: str) -> str:
        return expand(written, {"HOME": "no", "A": "no", "B": "no"})

    made = container(text, entrypoint=f'["{text}"]', env=(f"V={text}",))
    assert (meant(made["args"][0]), meant(made["command"][0]), meant(made["env"][0]["value"])) == (text, text, text)


def test_variables_come_from_files_then_flags_and_the_last_of_a_name_counts() -> None:
    made = container(env=("A=flag", "XA", "NONE", "X*"), env_file=("vars",))
    assert [(e["name"], e["value"]) for e in made["env"]] == [
        ("B", "two words"), ("HOME", "/home/me"), ("A", "flag"), ("XA", "1"), ("XB", "2"),
    ]  # fmt: skip
    with pytest.raises(InvalidInput):
        container(env=("=x",))


@pytest.mark.parametrize(("given", "wanted"), [
    ({"tty": True}, {"tty": True}),
    ({"interactive": True}, {"stdin": True, "stdinOnce": True}),
    ({"interactive": True, "detach": True}, {"stdin": True}),
    ({"workdir": "/x"}, {"workingDir": "/x"}),
    ({"stop_signal": "15"}, {"lifecycle": {"stopSignal": "SIGTERM"}}),
    ({"stop_signal": "usr1"}, {"lifecycle": {"stopSignal": "SIGUSR1"}}),
    ({"memory": "64m", "cpus": "0.5"},
     {"resources": {"limits": {"memory": "64Mi", "cpu": "500m"}, "requests": {"memory": "0", "cpu": "0"}}}),
    ({"memory": "1g", "memory_swap": "1g", "memory_reservation": "512m"},
     {"resources": {"limits": {"memory": "1Gi"}, "requests": {"memory": "512Mi"}}}),
    ({"cpu_shares": 512}, {"resources": {"requests": {"cpu": "500m"}}}),
    ({"user": "1000"}, {"securityContext": {"runAsUser": 1000}}),
    ({"user": "1000:50"}, {"securityContext": {"runAsUser": 1000, "runAsGroup": 50}}),
    ({"cap_add": ("cap_net_raw,SYS_TIME",), "cap_drop": ("all",)},
     {"securityContext": {"capabilities": {"add": ["NET_RAW", "SYS_TIME"], "drop": ["ALL"]}}}),
    ({"privileged": True}, {"securityContext": {"privileged": True}}),
    ({"security_opt": ("no-new-privileges", "seccomp=unconfined", "label=level:s0:c1", "apparmor=mine")},
     {"securityContext": {"allowPrivilegeEscalation": False, "seccompProfile": {"type": "Unconfined"}, "seLinuxOptions": {"level": "s0:c1"},
                          "appArmorProfile": {"type": "Localhost", "localhostProfile": "mine"}}}),
    ({"security_opt": ("seccomp=/etc/p.json",)},
     {"securityContext": {"seccompProfile": {"type": "Localhost", "localhostProfile": "p.json"}}}),
    ({"health_cmd": "test -e /ok", "health_start_period": "1m", "health_interval": "5s", "health_timeout": "500ms", "health_retries": 2},
     {"readinessProbe": {"exec": {"command": ["/bin/sh", "-c", "test -e /ok"]}, "initialDelaySeconds": 60, "periodSeconds": 5,
                         "timeoutSeconds": 1, "failureThreshold": 2}}),
    ({"health_cmd": '["CMD", "true"]', "health_on_failure": "restart", "health_startup_cmd": '["CMD-SHELL", "a; b"]'},
     {"livenessProbe": {"exec": {"command": ["true"]}, "periodSeconds": 30, "timeoutSeconds": 30, "failureThreshold": 3},
      "startupProbe": {"exec": {"command": ["/bin/sh", "-c", "a; b"]}, "periodSeconds": 30, "timeoutSeconds": 30, "failureThreshold": 3}}),
    ({"health_cmd": "none"}, {}),
    ({"device": ("vendor.com/gpu=0",), "memory": "1m"},
     {"resources": {"limits": {"memory": "1Mi", "vendor.com/gpu=0": "1"}, "requests": {"memory": "0"}}}),
])  # fmt: skip
def test_fields_of_the_container(given: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert container(**given) == {**container(), **wanted}


@pytest.mark.parametrize(("given", "wanted"), [
    ({"restart": "on-failure"}, {"restartPolicy": "OnFailure"}),
    ({"restart": "unless-stopped"}, {"restartPolicy": "Always"}),
    ({"stop_timeout": 0}, {"terminationGracePeriodSeconds": 0}),
    ({"timeout": 5}, {"activeDeadlineSeconds": 5}),
    ({"hostname": "h"}, {"hostname": "h"}),
    ({"hostname": "h.example.org"}, {"hostnameOverride": "h.example.org"}),
    ({"add_host": ("db;cache:10.0.0.1",)}, {"hostAliases": [{"ip": "10.0.0.1", "hostnames": ["db", "cache"]}]}),
    ({"dns": ("1.1.1.1",), "dns_search": ("a.b",), "dns_option": ("ndots:2", "debug")},
     {"dnsPolicy": "None", "dnsConfig": {"nameservers": ["1.1.1.1"], "searches": ["a.b"],
                                         "options": [{"name": "ndots", "value": "2"}, {"name": "debug"}]}}),
    ({"init": True}, {"shareProcessNamespace": True}),
    ({"pid": "host", "ipc": "host"}, {"hostPID": True, "hostIPC": True}),
    ({"sysctl": ("net.ipv4.ip_unprivileged_port_start=0",), "group_add": ("5,6",)},
     {"securityContext": {"supplementalGroups": [5, 6], "sysctls": [{"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}]}}),
])  # fmt: skip
def test_fields_of_the_pod(given: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert built(**given).pod["spec"] == {**built().pod["spec"], **wanted}


def test_a_pod_alone_has_podmans_policy_and_grace_and_no_variables_of_services() -> None:
    spec = built().pod["spec"]
    assert (spec["restartPolicy"], spec["terminationGracePeriodSeconds"], spec["enableServiceLinks"]) == ("Never", 10, False)
    assert built().pod["metadata"]["annotations"] == {"kubeplay.io/container-prefix": "false"}


def test_what_a_pod_has_no_field_for_is_an_annotation() -> None:
    made = built(cpuset_cpus="0-1", pids_limit=50, rm=True, pull="newer", annotation=("a=b",)).pod["metadata"]["annotations"]
    assert made == {
        "io.podman.annotations.cpuset/web": "0-1", "io.podman.annotations.pids-limit/web": "50", "a": "b",
        "kubeplay.io/auto-remove": "true", "kubeplay.io/container-prefix": "false", "kubeplay.io/image-pull-policy": "newer",
    }  # fmt: skip


def test_labels_that_kubernetes_cannot_take_are_annotations_and_said() -> None:
    made = built(label=("app=web", "rule=Host(`x`)", "bare"), label_file=("labels",))
    assert made.pod["metadata"]["labels"] == {"one": "1", "app": "web", "bare": ""}
    assert made.pod["metadata"]["annotations"]["rule"] == "Host(`x`)" and "rule" in made.warnings[0]


# ports
def test_ports_get_a_free_one_of_the_host_where_none_is_given() -> None:
    made = container(publish=("8080:80", "127.0.0.1:53:53/udp", "90", "9000-9001:90-91"))["ports"]
    assert made == [
        {"containerPort": 80, "hostPort": 8080}, {"containerPort": 53, "hostPort": 53, "hostIP": "127.0.0.1", "protocol": "UDP"},
        {"containerPort": 90, "hostPort": 20000}, {"containerPort": 90, "hostPort": 9000}, {"containerPort": 91, "hostPort": 9001},
    ]  # fmt: skip
    assert "ports" not in container(publish=("80:80",), network=("host",))


# mounts
def mounts(**given: Any) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """(source, mount) of everything that is mounted."""
    spec = built(**given).pod["spec"]
    sources = {v["name"]: {k: i for k, i in v.items() if k != "name"} for v in spec["volumes"]}
    return [(sources[m["name"]], {k: i for k, i in m.items() if k != "name"}) for m in spec["containers"][0]["volumeMounts"]]


@pytest.mark.parametrize(("given", "source", "mount"), [
    ({"volume": ("/srv:/d:ro",)}, {"hostPath": {"path": "/srv", "type": "Directory"}}, {"mountPath": "/d", "readOnly": True}),
    ({"volume": ("./here:/d:Z,rslave",)}, {"hostPath": {"path": "/srv", "type": "Directory"}},
     {"mountPath": "/d", "mountPropagation": "HostToContainer"}),
    ({"volume": ("/etc/hosts:/h",)}, {"hostPath": {"path": "/etc/hosts", "type": "File"}}, {"mountPath": "/h"}),
    ({"volume": ("data:/d",)}, {"persistentVolumeClaim": {"claimName": "data"}}, {"mountPath": "/d"}),
    ({"volume": ("/d",)}, {"emptyDir": {}}, {"mountPath": "/d"}),
    ({"mount": ("type=bind,src=/srv,dst=/d,ro=true",)}, {"hostPath": {"path": "/srv", "type": "Directory"}},
     {"mountPath": "/d", "readOnly": True}),
    ({"mount": ("type=volume,source=data,target=/d,subpath=a/b",)}, {"persistentVolumeClaim": {"claimName": "data"}},
     {"mountPath": "/d", "subPath": "a/b"}),
    ({"mount": ("type=tmpfs,target=/d,tmpfs-size=1m",)}, {"emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}}, {"mountPath": "/d"}),
    ({"mount": ("type=image,source=localhost/x:1,target=/d",)}, {"image": {"reference": "localhost/x:1"}}, {"mountPath": "/d"}),
    ({"tmpfs": ("/d:size=64k,ro",)}, {"emptyDir": {"medium": "Memory", "sizeLimit": "64Ki"}}, {"mountPath": "/d", "readOnly": True}),
    ({"device": ("/dev/fuse",)}, {"hostPath": {"path": "/dev/fuse", "type": "CharDevice"}}, {"mountPath": "/dev/fuse"}),
    ({"device": ("/dev/sda:/dev/disk:rwm",)}, {"hostPath": {"path": "/dev/sda", "type": "BlockDevice"}}, {"mountPath": "/dev/disk"}),
    ({"shm_size": "128m"}, {"emptyDir": {"medium": "Memory", "sizeLimit": "128Mi"}}, {"mountPath": "/dev/shm"}),
])  # fmt: skip
def test_mounts(given: dict[str, Any], source: dict[str, Any], mount: dict[str, Any]) -> None:
    assert mounts(**given) == [(source, mount)]


@pytest.mark.parametrize(("text", "source", "mount"), [
    ("one", {"secretName": "one", "defaultMode": 0o444, "items": [{"key": "password", "path": "value"}]},
     {"mountPath": "/run/secrets/one", "readOnly": True, "subPath": "value"}),
    ("own,target=/x,mode=0400", {"secretName": "own", "defaultMode": 0o400, "items": [{"key": "own", "path": "value"}]},
     {"mountPath": "/x", "readOnly": True, "subPath": "value"}),
    ("many,target=all", {"secretName": "many", "defaultMode": 0o444}, {"mountPath": "/run/secrets/all", "readOnly": True}),
])  # fmt: skip
def test_secrets_are_files(text: str, source: dict[str, Any], mount: dict[str, Any]) -> None:
    assert mounts(secret=(text,)) == [({"secret": source}, mount)]


def test_a_secret_may_be_a_variable() -> None:
    made = container(env=("A=1",), secret=("one,type=env,target=PASSWORD",))["env"]
    assert made[1] == {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "one", "key": "password"}}}


def test_a_named_volume_brings_its_claim_unless_there_is_one() -> None:
    from kubeplay.play.imperative.pod import build
    from tests.support.machines import machine

    made = built(volume=("data:/a", "data:/b:ro", "more.data:/c"))
    assert [obj["metadata"]["name"] for obj in made.objects] == ["data", "more.data", "web"]
    assert len(made.pod["spec"]["volumes"]) == 2
    known = build("web", "default", "x", (), {"volume": ("data:/a",)}, machine(frozenset(("data",))))
    assert [obj["kind"] for obj in known.objects] == ["Pod"]


def test_read_only_leaves_room_to_write() -> None:
    assert [mount["mountPath"] for _, mount in mounts(read_only=True, tmpfs=("/tmp:size=1m",))] == ["/tmp", "/run", "/var/tmp"]
    assert "volumeMounts" not in container(read_only=True, read_only_tmpfs=False)


# what is refused
@pytest.mark.parametrize(("given", "error", "text"), [
    ({"volume": ("/nothing:/d",)}, NotFound, "does not exist"),
    ({"volume": ("/srv:d",)}, InvalidInput, "must be an absolute path"),
    ({"volume": ("My_Data:/d",)}, InvalidInput, "claim's name"),
    ({"volume": ("/srv:/d:idmap",)}, NotSupported, "idmap"),
    ({"volume": ("/srv:/d", "data:/d")}, InvalidInput, "duplicate mount destination"),
    ({"mount": ("type=glob,src=/srv,dst=/d",)}, NotSupported, "type 'glob'"),
    ({"mount": ("type=bind,src=/srv",)}, InvalidInput, "absolute"),
    ({"device": ("/srv",)}, NotFound, "not a device"),
    ({"device": ("/dev/fuse:r",)}, NotSupported, "rights"),
    ({"user": "app"}, InvalidInput, "UID"),
    ({"restart": "on-failure:3"}, NotSupported, "counted"),
    ({"restart": "sometimes"}, InvalidInput, "restart policy"),
    ({"rm": True, "restart": "always"}, InvalidInput, "--rm option conflicts"),
    ({"memory": "lots"}, InvalidInput, "not a size"),
    ({"memory_swap": "-1", "memory": "1g"}, NotSupported, "swap"),
    ({"cpus": "0"}, InvalidInput, "0.001"),
    ({"cpus": "1.2345"}, InvalidInput, "finer"),
    ({"pull": "often"}, InvalidInput, "pull policy"),
    ({"security_opt": ("mask=/proc/x",)}, NotSupported, "mask"),
    ({"group_add": ("keep-groups",)}, NotSupported, "numbers"),
    ({"publish": ("x",)}, InvalidInput, "--publish"),
    ({"add_host": ("db",)}, InvalidInput, "NAME:ADDRESS"),
    ({"hostname": "a_b"}, InvalidInput, "host name"),
    ({"pid": "container:x"}, NotSupported, "--pid"),
    ({"health_cmd": "x", "no_healthcheck": True}, InvalidInput, "both"),
    ({"health_cmd": "x", "health_on_failure": "cry"}, InvalidInput, "cry"),
    ({"health_cmd": "x", "health_interval": "disable"}, NotSupported, "disable"),
    ({"secret": ("none",)}, NotFound, "no such Secret"),
    ({"secret": ("many,type=env",)}, InvalidInput, "several keys"),
    ({"secret": ("one,uid=5",)}, NotSupported, "uid"),
    ({"secret": ("one,mode=9",)}, InvalidInput, "octal"),
    ({"label": ("=x",)}, InvalidInput, "--label"),
])  # fmt: skip
def test_refusals_say_the_flag(given: dict[str, Any], error: type[KubeplayError], text: str) -> None:
    with pytest.raises(error) as caught:
        built(**given)
    assert text in caught.value.message


def test_what_the_cluster_would_refuse_is_refused_by_the_same_door() -> None:
    with pytest.raises(InvalidInput) as caught:
        through(built(privileged=True, security_opt=("no-new-privileges",)))
    said = "\n".join(map(str, caught.value.faults))
    assert "spec.containers[0].securityContext" in said and "the command line" not in said


SIZES = [("64m", "64Mi"), ("1.5g", "1536Mi"), ("512kb", "512Ki"), ("100", "100"), ("7b", "7"), ("2GiB", "2Gi")]


@pytest.mark.parametrize(("text", "wanted"), SIZES)
def test_sizes(text: str, wanted: str) -> None:
    assert words.size("--memory", text) == wanted


@pytest.mark.parametrize("text", ["", "m", "-1m", "1x", "1.m", "٣m", "1e3", "9" * 30])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(InvalidInput):
        words.size("--memory", text)


@pytest.mark.parametrize(("text", "wanted"), [("30s", 30), ("1m30s", 90), ("500ms", 1), ("2", 2), ("0s", 0), ("1h", 3600)])
def test_durations(text: str, wanted: int) -> None:
    assert words.seconds("--health-interval", text) == wanted


@pytest.mark.parametrize("text", ["", "s", "1x", "-5", "nan", "1e40s", "inf"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(InvalidInput):
        words.seconds("--health-interval", text)


@pytest.mark.parametrize("name", ["Web", "a_b", "-a", "a" * 64, "", "a.b"])
def test_names_are_those_of_a_container(name: str) -> None:
    with pytest.raises(InvalidInput):
        words.name("--name", name)

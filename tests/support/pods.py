"""Random valid Pods, from every area of the fields this version runs."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

Draw = st.DrawFn
names = st.from_regex(r"[a-z]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)
label_values = st.from_regex(r"([A-Za-z0-9]([A-Za-z0-9_.-]{0,8}[A-Za-z0-9])?)?", fullmatch=True)
keys = st.from_regex(r"(([a-z]{1,5}\.)?[a-z]{1,5}/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,6}[A-Za-z0-9])?", fullmatch=True).filter(
    lambda key: not key.startswith("kubeplay.io/")
)
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20) | st.sampled_from(
    ["$(A)", "$$", "no", "1", "1e3", "12:30", "a\nb\n", "  x", "#!/bin/sh\necho \"$A\"\n", "~", "- a", "a: b"]
)
ids = st.integers(0, 2**31 - 1)
ports = st.integers(1, 65535)
modes = st.integers(0, 0o777)
paths = st.lists(names, min_size=1, max_size=3).map("/".join)
quantities = {
    "cpu": st.sampled_from(["1", "250m", "1500m", "0.5", "2"]),
    "memory": st.sampled_from(["64Mi", "1Gi", "1.5Gi", "100M", "67108864"]),
}
images = st.sampled_from(["i", "i:1", "i:latest", "registry.example:5000/a/b:v1.2", "docker.io/library/busybox@sha256:" + "a" * 64])


def some(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """A record with any of these fields."""
    return st.fixed_dictionaries({}, optional=fields)


def record(optional: dict[str, st.SearchStrategy[Any]] | None = None, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:  # noqa: E501
    return st.fixed_dictionaries(fields, optional=optional or {})


def lists(each: st.SearchStrategy[Any], most: int = 3, by: str = "") -> st.SearchStrategy[list[Any]]:
    return st.lists(each, max_size=most, unique_by=(lambda one: one[by]) if by else None)


booleans = st.booleans()
selinux = some(user=names, role=names, type=names, level=st.just("s0:c1,c2"))
seccomp = st.sampled_from([{"type": "RuntimeDefault"}, {"type": "Unconfined"}, {"type": "Localhost", "localhostProfile": "p/q.json"}])
key_ref = record({"optional": booleans}, name=names, key=names)
field_paths = ["metadata.name", "metadata.namespace", "metadata.uid", "metadata.labels['a']", "spec.nodeName", "status.podIP", "status.hostIPs"]  # noqa: E501
env_source = st.one_of(
    record(configMapKeyRef=key_ref),
    record(secretKeyRef=key_ref),
    record(fieldRef=record(fieldPath=st.sampled_from(field_paths))),
    record(resourceFieldRef=record({"divisor": st.sampled_from(["1", "1m"])}, resource=st.sampled_from(["limits.cpu", "requests.cpu"]))),
    record(resourceFieldRef=record({"divisor": st.sampled_from(["1", "1Mi", "1k"])}, resource=st.just("limits.memory"))),
)
env = st.one_of(record({"value": texts}, name=names), record(name=names, valueFrom=env_source))
object_ref = record({"optional": booleans}, name=names)
env_from = st.one_of(record({"prefix": names}, configMapRef=object_ref), record({"prefix": names}, secretRef=object_ref))
port = record({"protocol": st.sampled_from(["TCP", "UDP", "SCTP"]), "hostIP": st.just("127.0.0.1")}, containerPort=ports)
container_security = some(
    runAsUser=ids, runAsGroup=ids, runAsNonRoot=booleans, readOnlyRootFilesystem=booleans, allowPrivilegeEscalation=st.just(True), privileged=booleans,  # noqa: E501
    capabilities=some(add=lists(st.sampled_from(["NET_ADMIN", "CHOWN"])), drop=st.just(["ALL"])), seLinuxOptions=selinux, seccompProfile=seccomp,  # noqa: E501
)  # fmt: skip
handler = st.one_of(
    record(exec=record(command=st.lists(texts, min_size=1, max_size=3))),
    record(httpGet=record(
        {"path": paths.map("/".__add__), "scheme": st.sampled_from(["HTTP", "HTTPS"]), "host": st.just("127.0.0.1"),
         "httpHeaders": lists(record(name=st.sampled_from(["X-A", "Host", "Accept"]), value=texts))},
        port=st.one_of(ports, names.filter(lambda name: len(name) < 15 and any(c.isalpha() for c in name) and "--" not in name)),
    )),
    record(tcpSocket=record({"host": st.just("10.0.0.1")}, port=ports)),
    record(grpc=record({"service": texts}, port=ports)),
)  # fmt: skip
seconds = st.integers(1, 3600)
probe = {"initialDelaySeconds": st.integers(0, 60), "timeoutSeconds": seconds, "periodSeconds": seconds, "failureThreshold": seconds}


def probes(**more: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Any handler with any of the times that this kind of probe may have."""
    return st.builds(lambda how, when: {**when, **how}, handler, some(**probe, **more))


probed = {
    "livenessProbe": probes(terminationGracePeriodSeconds=seconds),
    "startupProbe": probes(terminationGracePeriodSeconds=seconds, successThreshold=st.just(1)),
    "readinessProbe": probes(successThreshold=seconds),
}
probe_free = {
    "imagePullPolicy": st.sampled_from(["Always", "IfNotPresent", "Never"]),
    "command": st.lists(texts, min_size=1, max_size=3),
    "args": st.lists(texts, max_size=3),
    "workingDir": paths,
    "env": lists(env),
    "envFrom": lists(env_from),
    "ports": lists(port, by="containerPort"),
    "tty": booleans,
    "stdin": booleans,
    "terminationMessagePath": paths.map("/".__add__),
    "terminationMessagePolicy": st.sampled_from(["File", "FallbackToLogsOnError"]),
    "resources": st.one_of(
        some(limits=some(**quantities), requests=st.just({})), some(requests=some(**quantities)), st.just({"limits": {"cpu": "1"}, "requests": {"cpu": "1"}})  # noqa: E501
    ),
    "securityContext": container_security,
}
items = lists(record({"mode": modes}, key=names, path=paths))
volume_source = st.one_of(
    st.just({}),
    record(emptyDir=some(medium=st.sampled_from(["", "Memory"]), sizeLimit=quantities["memory"])),
    record(hostPath=record({"type": st.sampled_from(["", "Directory", "FileOrCreate", "Socket"])}, path=paths.map("/".__add__))),
    record(configMap=record({"optional": booleans, "defaultMode": modes, "items": items}, name=names)),
    record(secret=record({"optional": booleans, "defaultMode": modes, "items": items}, secretName=names)),
    record(persistentVolumeClaim=record({"readOnly": booleans}, claimName=names)),
    record(ephemeral=record(volumeClaimTemplate=record(
        {"metadata": some(labels=st.dictionaries(keys, label_values, max_size=2))},
        spec=record(accessModes=st.just(["ReadWriteOnce"]), resources=st.just({"requests": {"storage": "1Gi"}})),
    ))),
    record(image=record({"pullPolicy": st.sampled_from(["Always", "Never"])}, reference=images)),
)
pod_security = some(
    runAsUser=ids, runAsGroup=ids, runAsNonRoot=booleans, fsGroup=ids, supplementalGroups=lists(ids),
    supplementalGroupsPolicy=st.sampled_from(["Merge", "Strict"]),
    fsGroupChangePolicy=st.sampled_from(["Always", "OnRootMismatch"]), seLinuxOptions=selinux, seccompProfile=seccomp,
    sysctls=st.just([{"name": "net.ipv4.tcp_syncookies", "value": "1"}]),
)  # fmt: skip
pod_fields = {
    "restartPolicy": st.sampled_from(["Always", "OnFailure", "Never"]),
    "terminationGracePeriodSeconds": st.integers(0, 300),
    "dnsPolicy": st.sampled_from(["ClusterFirst", "Default", "ClusterFirstWithHostNet"]),
    "dnsConfig": some(
        nameservers=lists(st.just("1.1.1.1"), 1), searches=lists(names), options=lists(record({"value": st.just("2")}, name=names), by="name")  # noqa: E501
    ),
    "hostAliases": lists(record(ip=st.just("10.0.0.1"), hostnames=st.lists(names, min_size=1, max_size=2)), by="ip"),
    "hostname": names,
    "subdomain": names,
    "enableServiceLinks": booleans,
    "shareProcessNamespace": booleans,
    "hostIPC": booleans,
    "automountServiceAccountToken": booleans,
    "serviceAccountName": st.just("default"),
    "imagePullSecrets": lists(record(name=names), by="name"),
    "nodeSelector": st.dictionaries(keys, label_values, max_size=2),
    "securityContext": pod_security,
}


@st.composite
def pods(draw: Draw) -> dict[str, Any]:
    """A Pod that the API server takes."""
    volumes = draw(st.lists(st.tuples(names, volume_source).map(lambda pair: {"name": pair[0], **pair[1]}), max_size=3, unique_by=lambda v: v["name"]))  # noqa: E501
    spec = draw(st.fixed_dictionaries({}, optional=pod_fields))
    taken = draw(st.lists(names, min_size=1, max_size=4, unique=True))
    inits = draw(st.integers(0, len(taken) - 1))
    made = [_container(draw, name, volumes, at < inits) for at, name in enumerate(taken)]
    _distinct_host_ports(made)
    if volumes:
        spec["volumes"] = volumes
    if inits:
        spec["initContainers"] = made[:inits]
    spec["containers"] = made[inits:]
    meta: dict[str, Any] = {"name": draw(names)}
    for field, value in (("labels", label_values), ("annotations", texts)):
        chosen = draw(st.dictionaries(keys, value, max_size=3))
        if chosen:
            meta[field] = chosen
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}


def _container(draw: Draw, name: str, volumes: list[dict[str, Any]], init: bool) -> dict[str, Any]:
    made = draw(st.fixed_dictionaries({}, optional=probe_free if init else {**probe_free, **probed}))
    made["name"], made["image"] = name, draw(images)
    if volumes:
        mount = st.tuples(
            st.sampled_from(volumes).map(lambda v: v["name"]), paths.map("/".__add__), some(readOnly=booleans, subPath=paths)
        ).map(lambda parts: {"name": parts[0], "mountPath": parts[1], **parts[2]})
        made["volumeMounts"] = draw(st.lists(mount, max_size=3, unique_by=lambda m: m["mountPath"]))
    for number in made.get("ports", []):
        if draw(booleans) and not init:
            number["hostPort"] = number["containerPort"]
    return made


def _distinct_host_ports(containers: list[dict[str, Any]]) -> None:
    """VL: a host port is wanted once in a pod."""
    seen: set[tuple[int, str]] = set()
    for container in containers:
        for port in container.get("ports", []):
            key = (port.get("hostPort", 0), port.get("protocol", "TCP"))
            if key[0] and key in seen:
                del port["hostPort"]
            seen.add(key)

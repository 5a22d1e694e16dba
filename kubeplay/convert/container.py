"""The container of a service: its command, environment, user, rights; and what of that belongs to the pod."""

from __future__ import annotations

from typing import Any

from kubeplay.convert import dotenv, health, limits, names
from kubeplay.convert.model import Object
from kubeplay.convert.part import Work, config_map
from kubeplay.convert.section import Section
from kubeplay.errors import InvalidInput, NotFound

_PULL = {"always": "Always", "never": "Never", "missing": "IfNotPresent", "if_not_present": "IfNotPresent", "build": "IfNotPresent"}
# Namespaced and harmless, so a kubelet takes them without being told to (kubernetes.io, "Using sysctls").
_SYSCTLS = (
    "kernel.shm_rmid_forced net.ipv4.ip_local_port_range net.ipv4.tcp_syncookies net.ipv4.ping_group_range"
    " net.ipv4.ip_unprivileged_port_start net.ipv4.ip_local_reserved_ports net.ipv4.tcp_keepalive_time net.ipv4.tcp_fin_timeout"
    " net.ipv4.tcp_keepalive_intvl net.ipv4.tcp_keepalive_probes net.ipv4.tcp_rmem net.ipv4.tcp_wmem"
)
SAFE_SYSCTLS = frozenset(_SYSCTLS.split())
_UNSAID = {
    "blkio_config": "no manifest limits a pod's disk traffic",
    "cgroup": "a pod's cgroup is the node's to choose",
    "cgroup_parent": "a pod's cgroup is the node's to choose",
    "credential_spec": "only Linux containers",
    "cpu_count": "only Linux has cpus",
    "cpu_percent": "only Linux has cpus",
    "cpu_rt_period": "no manifest gives real-time shares",
    "cpu_rt_runtime": "no manifest gives real-time shares",
    "cpuset": "a node's CPUs are not named: whole `cpus` and a static CPU manager do it",
    "device_cgroup_rules": "devices are given by a device plugin of the cluster",
    "devices": "a pod names no device of its node: by a CDI name in resources.limits here, by a device plugin on a cluster",
    "develop": "for working on the sources; there is `kubeplay sync`",
    "domainname": "a pod's domain is its Service's",
    "external_links": "what is outside of the project is reached by a Service of its name",
    "gpus": "on a cluster resources.limits has nvidia.com/gpu",
    "init": "no manifest adds an init process: the image may (tini)",
    "isolation": "only Linux containers",
    "logging": "logs are the node's affair: `kubeplay logs`",
    "mac_address": "no manifest gives a MAC address",
    "mem_swappiness": "no manifest tunes swapping",
    "memswap_limit": "swap is the node's to give",
    "models": "AI models are not Kubernetes' affair",
    "oom_kill_disable": "a container that exceeds its memory is always ended",
    "oom_score_adj": "follows from requests and limits",
    "pids_limit": "a limit of the node's (kubelet --pod-max-pids)",
    "platform": "choose the image's platform, or a node by nodeSelector kubernetes.io/arch",
    "provider": "a program of docker's outside",
    "storage_opt": "resources.limits.ephemeral-storage limits what a container writes",
    "runtime": "a runtime class of the cluster",
    "ulimits": "no manifest sets ulimits: the node's runtime does, or the command (`ulimit -n`)",
    "use_api_socket": "there is no docker socket",
    "label_file": "write the labels into the file",
    "cpu_shares": "CPU shares follow from resources.requests.cpu: use `cpus` under deploy.resources.reservations",
}


def build(found: Section, work: Work, name: str) -> tuple[Object, Object]:
    """(container, pod settings) of a service, without its ports and volumes."""
    container: Object = {"name": name, "image": _image(found, work, name)}
    pod: Object = {}
    _pull(found, container)
    _commands(found, container)
    _environment(found, work, container)
    if "working_dir" in found:
        container["workingDir"] = found.text("working_dir")
    container.update({ours: True for key, ours in (("stdin_open", "stdin"), ("tty", "tty")) if found.flag(key)})
    security(found, container, pod)
    limits.fill(found, container)
    health.fill(found, container, pod)
    found.unsaid(_UNSAID)
    return container, pod


def _image(found: Section, work: Work, name: str) -> str:
    image = found.text("image")
    if "build" not in found:
        if not image:
            found.fault("", "neither `image` nor `build`", reason="FieldValueRequired")
        return image
    made = image or f"localhost/{names.label(work.project.name) or 'project'}-{name}:latest"
    inner = found.section("build")
    words = ["kubeplay", "build", "-t", made]
    file = inner.text("dockerfile")
    for flag, value in (("-f", file and f"{inner.text('context')}/{file}"), ("--target", inner.text("target"))):
        words += [flag, value] if value else []
    words += [word for key, value in inner.pairs("args").items() for word in ("--build-arg", key if value is None else f"{key}={value}")]
    import shlex

    found.note("build", f"a manifest builds nothing: {shlex.join([*words, inner.text('context', '.')])}")
    inner.unsaid(dict.fromkeys(("additional_contexts", "ssh", "secrets", "dockerfile_inline"), "is for you to give to the build"))
    return made


def _pull(found: Section, container: Object) -> None:
    policy = found.text("pull_policy")
    if policy and policy not in _PULL:
        found.note("pull_policy", f"{policy}: Kubernetes knows Always, IfNotPresent and Never")
    elif policy:
        container["imagePullPolicy"] = _PULL[policy]
    elif "build" in found:
        container["imagePullPolicy"] = "IfNotPresent"


def _commands(found: Section, container: Object) -> None:
    """An entrypoint is Kubernetes' command, a command its args; an entrypoint that is empty takes away the image's."""
    entrypoint, command = found.raw("entrypoint"), found.raw("command")
    words = [names.literal(word) for word in command or []]
    if entrypoint == [] and words:
        container["command"] = words
        return
    if entrypoint == []:
        found.note("entrypoint", "an empty one: the image's own is used, as no manifest takes it away without a command")
    if entrypoint:
        container["command"] = [names.literal(word) for word in entrypoint]
    if words:
        container["args"] = words


def _environment(found: Section, work: Work, container: Object) -> None:
    sources = [{"configMapRef": {"name": name}} for one in found.sections("env_file") if (name := _file(one, found, work))]
    if sources:
        container["envFrom"] = sources
    made = []
    for key, value in found.pairs("environment").items():
        if value is None:
            value = work.project.environ.get(key)
        if value is None:
            found.note("environment", f"{key} has no value here, so the container gets none")
        elif not key or "=" in key or "\0" in key + value:
            found.section("environment").fault(key, "is no name of a variable")
        else:
            made.append({"name": key, "value": names.literal(value)} if value else {"name": key, "value": ""})
    if made:
        container["env"] = made


def _file(one: Section, found: Section, work: Work) -> str:
    """The ConfigMap of a file of variables; "" where there is none."""
    path = one.text("path")
    try:
        data = work.folder.read(path)
        variables = dotenv.read(data, work.project.environ, raw=one.text("format") == "raw")
    except NotFound:
        if one.flag("required", True):
            found.fault("env_file", f"{path}: no such file", reason="FieldValueNotFound")
        else:
            found.note("env_file", f"{path} is not there, and need not be")
        return ""
    except (ValueError, InvalidInput) as error:
        found.fault("env_file", f"{path}: {error}")
        return ""
    wanted = names.label(path.rpartition("/")[2]) or "env"
    name = work.files.of(path, wanted if "env" in wanted else f"{wanted}-env")
    outside(path, found, "env_file", work)
    work.put({**config_map(name, {}), "data": variables})
    return name


def outside(path: str, found: Section, key: str, work: Work) -> None:
    """Whose content goes into a manifest is said where it is not the project's own."""
    if not work.folder.inside(path, work.project.directory):
        found.note(key, f"{path} is outside of the project, and its content is in the manifest")


def security(found: Section, container: Object, pod: Object) -> None:
    made: Object = {}
    user(found.text("user"), found, made)
    for key, ours in (("privileged", "privileged"), ("read_only", "readOnlyRootFilesystem")):
        if found.flag(key):
            made[ours] = True
    capabilities = {
        ours: [word.upper().removeprefix("CAP_") for word in words]
        for key, ours in (("cap_add", "add"), ("cap_drop", "drop"))
        if (words := found.words(key))
    }
    if capabilities:
        made["capabilities"] = capabilities
    for word in found.words("security_opt"):
        _option(word, found, made)
    if made:
        container["securityContext"] = made
    whole: Object = {}
    if groups := _groups(found):
        whole["supplementalGroups"] = groups
    if sysctls := _sysctls(found):
        whole["sysctls"] = sysctls
    if whole:
        pod["securityContext"] = whole


def user(text: str, found: Section, made: Object) -> None:
    """`1000:1000`; a name is looked up in the image, which no manifest can."""
    if not text:
        return
    first, _, second = text.partition(":")
    for word, ours in ((first, "runAsUser"), (second, "runAsGroup")):
        if word.isdecimal() and len(word) < 11:
            made[ours] = int(word)
        elif word:
            found.note("user", f"{word} is a name: a manifest takes numbers only (`id {first}` in the image tells them)")


def _groups(found: Section) -> list[int]:
    words = found.words("group_add")
    for word in words:
        if not word.isdecimal():
            found.note("group_add", f"{word} is a name: a manifest takes numbers only")
    return [int(word) for word in words if word.isdecimal() and len(word) < 11]


def _sysctls(found: Section) -> list[Object]:
    made = []
    for key, value in found.pairs("sysctls").items():
        if key in SAFE_SYSCTLS:
            made.append({"name": key, "value": value or ""})
        else:
            found.note("sysctls", f"{key} is none of those that a kubelet takes for safe: the node must allow it")
    return made


_LABELS = ("user", "role", "type", "level")


def _option(word: str, found: Section, made: Object) -> None:
    """One of `security_opt`."""
    name, _, value = word.replace("=", ":", 1).partition(":")
    if name == "no-new-privileges":
        made["allowPrivilegeEscalation"] = value == "false"
    elif name in ("seccomp", "apparmor") and value == "unconfined":
        made[_PROFILES[name]] = {"type": "Unconfined"}
    elif name == "apparmor" and value:
        made["appArmorProfile"] = {"type": "Localhost", "localhostProfile": value}
    elif name == "label" and value.partition(":")[0] in _LABELS and value.partition(":")[2]:
        made.setdefault("seLinuxOptions", {})[value.partition(":")[0]] = value.partition(":")[2]
    else:
        found.note("security_opt", f"{word[:80]}: no manifest can say this{_PROFILE_HINT if name == 'seccomp' else ''}")


_PROFILES: dict[str, Any] = {"seccomp": "seccompProfile", "apparmor": "appArmorProfile"}
_PROFILE_HINT = "; a profile's file goes to the node, and seccompProfile names it (Localhost)"

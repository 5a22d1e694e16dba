"""An inspected container in compose's words (long forms), without what the engine or the image set by itself."""

from __future__ import annotations

import re
import shlex
import signal
from typing import Any

from kubeplay.convert.model import Report
from kubeplay.convert.reading import Map
from kubeplay.convert.section import Section

# What podman and docker put into every container.
_ENGINES = {"HOSTNAME", "container"}
_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_SET = frozenset((_PATH, "HOME=/root", "HOME=/", "TERM=xterm", "TERM="))
_SHM = (0, 64 << 20, 65_536_000)  # bytes of /dev/shm where nobody says otherwise: docker's 64 MiB, podman's 64000 KiB
_STOP = 10  # s that both engines wait by default
_PIDS = (0, -1, 2048)  # no limit, and podman's default
_LIMITS = ("RLIMIT_NOFILE", "RLIMIT_NPROC")  # podman lists these for every container
_FOREIGN = ("io.podman.", "io.buildah.", "io.container.", "org.opencontainers.image.", "com.docker.", "desktop.docker.io/", "PODMAN_")
_LISTS = {
    "CapAdd": "cap_add",
    "CapDrop": "cap_drop",
    "GroupAdd": "group_add",
    "Dns": "dns",
    "DnsSearch": "dns_search",
    "DnsOptions": "dns_opt",
}
_RUNTIME = re.compile(r"|oci|(io\.containerd\.)?c?runc?(\.v[0-9])?")  # what engines take when nobody says otherwise
_HASH = re.compile(r"[0-9a-f]{64}")


def service(found: Section, image: Map | None) -> Map:
    """The container as a service. `image` is the inspected image, where there is one."""
    config, host = found.section("Config"), found.section("HostConfig")
    own = Section(image if image is not None else Map(), "", Report()).section("Config")
    made = Map({"image": found.text("ImageName") or config.text("Image") or found.text("Image")})
    _commands(config, own, made)
    _environment(config, own, made)
    _plain(found, config, host, own, made)
    _limits(host, made)
    made["ports"] = _ports(found, host)
    made["volumes"] = _volumes(found, host)
    made["annotations"] = {key: value or "" for key, value in config.pairs("Labels").items()
                           if not key.startswith(_FOREIGN) and own.pairs("Labels").get(key) != value}  # fmt: skip
    if check := _check(config):
        made["healthcheck"] = check
    return Map({key: value for key, value in made.items() if value not in (None, "", False)})


def _words(found: Section, key: str) -> list[str]:
    """A list; podman 4 printed an entrypoint as one text."""
    value = found.raw(key)
    return shlex.split(value) if isinstance(value, str) and value.strip() else found.words(key) if not isinstance(value, str) else []


def _commands(config: Section, own: Section, made: Map) -> None:
    entrypoint, command = _words(config, "Entrypoint"), _words(config, "Cmd")
    same = entrypoint == _words(own, "Entrypoint") and bool(own.map)
    if entrypoint and not same:
        made["entrypoint"] = entrypoint
    if command and not (same and command == _words(own, "Cmd")):
        made["command"] = command


def _environment(config: Section, own: Section, made: Map) -> None:
    image = set(own.words("Env"))
    found = [word for word in config.words("Env") if word not in image and word not in _SET and word.partition("=")[0] not in _ENGINES]
    made["environment"] = Map({word.partition("=")[0]: word.partition("=")[2] for word in found})


def _plain(found: Section, config: Section, host: Section, own: Section, made: Map) -> None:
    if config.text("WorkingDir") not in ("", "/", own.text("WorkingDir")):
        made["working_dir"] = config.text("WorkingDir")
    if config.text("User") != own.text("User"):
        made["user"] = config.text("User")
    made["stdin_open"], made["tty"] = config.flag("OpenStdin"), config.flag("Tty")
    made["privileged"], made["read_only"] = host.flag("Privileged"), host.flag("ReadonlyRootfs")
    for key, ours in _LISTS.items():
        made[ours] = host.words(key) or None
    made["security_opt"] = [word for word in host.words("SecurityOpt") if word not in ("label=disable", "name=userns")] or None
    made["extra_hosts"] = [word.replace(":", "=", 1) for word in host.words("ExtraHosts")] or None
    made["sysctls"] = Map(host.pairs("Sysctls")) or None
    if host.text("NetworkMode") in ("host", "none"):
        made["network_mode"] = host.text("NetworkMode")
    made["pid"] = "host" if host.text("PidMode") == "host" else ""
    made["ipc"] = "host" if host.text("IpcMode") == "host" else ""
    name = config.text("Hostname")
    if name and not found.text("Id").startswith(name) and not made.get("network_mode"):
        made["hostname"] = name
    made["init"] = host.flag("Init")
    stop = _signal(config)
    made["stop_signal"] = stop if stop not in ("SIGTERM", _signal(own)) else ""
    timeout = config.integer("StopTimeout")
    made["stop_grace_period"] = str(timeout) if timeout not in (None, 0, _STOP) else ""
    if host.section("LogConfig").text("Type") not in ("", "json-file", "journald", "k8s-file", "local"):
        made["logging"] = host.section("LogConfig").map


def _signal(config: Section) -> str:
    """The stop signal by name; podman prints its number."""
    word = config.text("StopSignal")
    try:
        return signal.Signals(int(word)).name if word.isdecimal() and len(word) < 4 else word
    except ValueError:
        return ""


def _limits(host: Section, made: Map) -> None:
    def amount(key: str) -> int:
        return host.integer(key, 0, most=2**62) or 0

    made["mem_limit"] = str(amount("Memory")) if amount("Memory") > 0 else ""
    made["mem_reservation"] = str(amount("MemoryReservation")) if amount("MemoryReservation") > 0 else ""
    made["cpus"] = f"{amount('NanoCpus') / 1e9:.3f}" if amount("NanoCpus") > 0 else ""
    if amount("CpuQuota") > 0 and not made["cpus"]:
        made["cpu_quota"], made["cpu_period"] = amount("CpuQuota"), amount("CpuPeriod") or None
    made["cpu_shares"] = amount("CpuShares") if amount("CpuShares") not in (0, 1024) else None
    made["cpuset"] = host.text("CpusetCpus")
    made["pids_limit"] = amount("PidsLimit") if amount("PidsLimit") not in _PIDS else None
    made["shm_size"] = str(amount("ShmSize")) if amount("ShmSize") not in _SHM else ""
    made["oom_score_adj"] = amount("OomScoreAdj") or None
    made["devices"] = host.raw("Devices") or None
    limits = [one.text("Name") for one in host.sections("Ulimits") if one.text("Name") not in _LIMITS]
    made["ulimits"] = limits or None
    made["runtime"] = "" if _RUNTIME.fullmatch(host.text("Runtime")) else host.text("Runtime")


def _ports(found: Section, host: Section) -> list[Map]:
    made = []
    for key, bindings in host.section("PortBindings").map.items():
        number, _, protocol = key.partition("/")
        if not number.isdecimal() or not 0 < int(number[:6]) < 65536:
            found.fault("HostConfig.PortBindings", f"{key[:40]!r} is no port")
            continue
        for one in bindings if isinstance(bindings, list) else []:
            binding = Section(one if isinstance(one, Map) else Map(), found.path, found.report)
            word = binding.text("HostPort")
            published = int(word) if word.isdecimal() and len(word) < 6 else 0
            made.append(
                Map({"target": int(number), "published": published, "host_ip": binding.text("HostIp"), "protocol": protocol or "tcp"})
            )
    return made


def _volumes(found: Section, host: Section) -> list[Map]:
    made = [_volume(one) for one in found.sections("Mounts")]
    there = {one["target"] for one in made}
    tmpfs = [(target, text or "") for target, text in host.pairs("Tmpfs").items() if target not in there]
    for target, text in tmpfs:
        sizes = [word[5:] for word in text.split(",") if word.startswith("size=")]
        made.append(Map({"type": "tmpfs", "source": "", "target": target, "tmpfs": Map({"size": sizes[0]}) if sizes else Map()}))
    return made


def _volume(one: Section) -> Map:
    """A mount; a volume whose name is a hash was made for this container alone."""
    kind, name = one.text("Type"), one.text("Name")
    made: dict[str, Any] = {"type": kind, "source": one.text("Source"), "target": one.text("Destination")}
    if kind == "volume":
        made["source"] = "" if _HASH.fullmatch(name) else name
    if one.raw("RW") is False:
        made["read_only"] = True
    if kind == "bind":
        made["bind"] = Map({"propagation": one.text("Propagation")})
    return Map(made)


def _check(config: Section) -> Map | None:
    found = config.section("Healthcheck")
    words = found.words("Test")
    if not words or words == ["NONE"]:
        return None
    made = Map({"test": words if words[0] in ("CMD", "CMD-SHELL") else ["CMD", *words]})
    for key, ours in (("Interval", "interval"), ("Timeout", "timeout")):  # nanoseconds
        amount = found.integer(key, 0, most=2**62)
        if amount and amount > 0:
            made[ours] = f"{amount / 1e9:.3f}s"
    made["retries"] = found.integer("Retries") or 3
    return made

"""A service as written becomes one in long forms, with whole paths: what merging and conversion then need not ask again."""

from __future__ import annotations

import os.path
import re
from typing import Any

from kubeplay.convert import ports
from kubeplay.convert.reading import Map, Tagged
from kubeplay.convert.section import Section

_FIELDS = (
    "annotations attach build blkio_config cap_add cap_drop cgroup cgroup_parent command configs container_name cpu_count cpu_percent"
    " cpu_shares cpu_quota cpu_period cpu_rt_period cpu_rt_runtime cpus cpuset credential_spec depends_on deploy develop"
    " device_cgroup_rules devices dns dns_opt dns_search domainname entrypoint env_file environment expose extends external_links"
    " extra_hosts gpus group_add healthcheck hostname image init ipc isolation label_file labels links logging mac_address mem_limit"
    " mem_reservation mem_swappiness memswap_limit models network_mode networks oom_kill_disable oom_score_adj pid pids_limit platform"
    " ports post_start pre_stop privileged profiles provider pull_policy pull_refresh_after read_only restart runtime scale secrets"
    " security_opt shm_size stdin_open stop_grace_period stop_signal storage_opt sysctls tmpfs tty ulimits use_api_socket user"
    " userns_mode uts volumes volumes_from working_dir"
)
SERVICE = frozenset(_FIELDS.split())
_PAIRS = ("environment", "labels", "annotations", "sysctls")
_URL = re.compile(r"[a-z+]+://|git@|[^/]+\.git(#|$)")


def service(found: Section, base: str, home: str) -> Map:
    """The service in long forms; relative paths are relative to `base`, `~` is `home`."""
    found.only(SERVICE)
    made = Map(found.map, found.map.places)
    for key, how in _FORMS.items():
        value = made.get(key)
        tag = value.tag if isinstance(value, Tagged) else ""
        if value is not None and tag != "reset":
            made[key] = Tagged(tag, how(found, key, base, home)) if tag else how(found, key, base, home)
    return made


def whole(path: str, base: str, home: str) -> str:
    """A path without `~`, `.` and `..`."""
    if path == "~" or path.startswith("~/"):
        path = home + path[1:]
    return os.path.normpath(os.path.join(base, path))


def _pairs(found: Section, key: str, base: str, home: str) -> Map:
    pairs = found.pairs(key)
    inner = found.raw(key)
    places = inner.places if isinstance(inner, Map) else {}
    return Map(pairs, {name: places.get(name) or found.place(key) for name in pairs})


def _command(found: Section, key: str, base: str, home: str) -> list[str] | None:
    return found.command(key)


def _words(found: Section, key: str, base: str, home: str) -> list[str]:
    return found.words(key)


def _named(found: Section, key: str, base: str, home: str) -> Map:
    """`networks`, `depends_on`: a list of names, or a mapping."""
    value = found.raw(key)
    if isinstance(value, Map):
        return value
    names = found.words(key)
    return Map(dict.fromkeys(names), {name: found.place(key) for name in names})


def _files(found: Section, key: str, base: str, home: str) -> list[Map]:
    value = found.raw(key)
    made = []
    for item in value if isinstance(value, list) else [value]:
        one = item if isinstance(item, Map) else Map({"path": item})
        inner = Section(one, found.at(key), found.report, found.place(key))
        inner.only("path required format")
        if path := inner.text("path"):
            made.append(Map({**one, "path": whole(path, base, home)}, one.places))
        else:
            found.fault(key, "a file needs its `path`", reason="FieldValueRequired")
    return made


def _build(found: Section, key: str, base: str, home: str) -> Map:
    value = found.raw(key)
    made = Map(value, value.places) if isinstance(value, Map) else Map({"context": found.text(key)})
    context = made.get("context")
    if isinstance(context, str) and not _URL.match(context):
        made["context"] = whole(context or ".", base, home)
    return made


def _sources(found: Section, key: str, base: str, home: str) -> list[Map]:
    """`secrets`, `configs`: names or mappings."""
    made = []
    value = found.raw(key)
    for item in value if isinstance(value, list) else [value]:
        one = item if isinstance(item, Map) else Map({"source": item}) if isinstance(item, str) else None
        if one is None or not isinstance(one.get("source"), str):
            found.fault(key, "each is a name, or a mapping with `source`")
            continue
        Section(one, found.at(key), found.report, found.place(key)).only("source target uid gid mode")
        made.append(one)
    return made


def _hosts(found: Section, key: str, base: str, home: str) -> list[str]:
    """`extra_hosts` as HOST=ADDRESS."""
    value = found.raw(key)
    if isinstance(value, Map):
        return [f"{host}={one}" for host, item in value.items() for one in (item if isinstance(item, list) else [item])]
    return [word if "=" in word else word.replace(":", "=", 1) for word in found.words(key)]


def _volumes(found: Section, key: str, base: str, home: str) -> list[Map]:
    made = []
    value = found.raw(key)
    for at, item in enumerate(value if isinstance(value, list) else [value]):
        one = item if isinstance(item, Map) else _volume(item) if isinstance(item, str) else None
        if one is None:
            found.fault(f"{key}[{at}]", "a volume is a text as SOURCE:TARGET, or a mapping")
            continue
        if one.get("type") == "bind" and isinstance(one.get("source"), str):
            one = Map({**one, "source": whole(one["source"], base, home)}, one.places)
        made.append(one)
    return made


def _volume(text: str) -> Map:
    """SOURCE:TARGET:OPTIONS; a source that begins with a dot, a slash or a tilde is a path, and `/data` alone has no source."""
    parts = text.split(":")
    if len(parts) == 1:
        return Map({"type": "volume", "target": parts[0]})
    source, target, options = parts[0], parts[1], ":".join(parts[2:]).split(",")
    made: dict[str, Any] = {"type": "bind" if source.startswith((".", "/", "~")) else "volume", "source": source, "target": target}
    if "ro" in options or "readonly" in options:
        made["read_only"] = True
    if "nocopy" in options:
        made["volume"] = Map({"nocopy": True})
    if spread := [one for one in options if one in ("shared", "rshared", "slave", "rslave", "private", "rprivate")]:
        made["bind"] = Map({"propagation": spread[0]})
    return Map(made)


def _ports(found: Section, key: str, base: str, home: str) -> list[Map]:
    made: list[Map] = []
    value = found.raw(key)
    for at, item in enumerate(value if isinstance(value, list) else [value]):
        if isinstance(item, Map):
            made += ports.long(Section(item, f"{found.at(key)}[{at}]", found.report, found.place(key)))
        elif isinstance(item, (str, int)) and not isinstance(item, bool):
            try:
                made += ports.short(str(item))
            except ValueError as error:
                found.fault(f"{key}[{at}]", str(error), "as 8080:80, 127.0.0.1:8080:80 or 53:53/udp")
        else:
            found.fault(f"{key}[{at}]", "a port is a number, a text as 8080:80, or a mapping")
    return made


_FORMS = {
    **dict.fromkeys(_PAIRS, _pairs), "command": _command, "entrypoint": _command, "depends_on": _named, "networks": _named,
    "env_file": _files, "build": _build, "secrets": _sources, "configs": _sources, "extra_hosts": _hosts, "volumes": _volumes,
    "ports": _ports, "tmpfs": _words, "dns": _words, "dns_search": _words, "label_file": _words,
}  # fmt: skip

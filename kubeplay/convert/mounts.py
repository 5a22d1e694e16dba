"""Volumes, secrets and configs of a service: mounts of its container, volumes of its pod, and the objects behind them."""

from __future__ import annotations

import os.path

from kubeplay.convert import amounts, names
from kubeplay.convert.container import outside
from kubeplay.convert.model import Object
from kubeplay.convert.part import Work, config_map
from kubeplay.convert.reading import Map
from kubeplay.convert.section import Section
from kubeplay.errors import InvalidInput, NotFound
from kubeplay.kube.portable.model import PLACEHOLDER

SIZE = "1Gi"  # podman-kube-facts.md section 5: a claim must ask for something
MOST = 1 << 20  # bytes of a file that becomes a ConfigMap: what etcd takes is little more
_PROPAGATION = {"rshared": "Bidirectional", "shared": "Bidirectional", "rslave": "HostToContainer", "slave": "HostToContainer"}


class Mounts:
    """Mounts of one service as they come together."""

    def __init__(self, found: Section, work: Work, name: str) -> None:
        self.found, self.work, self.name = found, work, name
        self.volumes: dict[str, Object] = {}
        self.mounts: dict[str, Object] = {}

    def add(self, wanted: str, source: Object, target: str, **more: object) -> None:
        """A mount of a volume; the same source is one volume."""
        if not target.startswith("/"):
            self.found.fault("volumes", f"{target!r}: a mount's target is a whole path")
            return
        name = next((name for name, volume in self.volumes.items() if volume == source), "")
        if not name:
            name, number = wanted or "volume", 2
            while name in self.volumes:
                name, number = f"{wanted[:58]}-{number}", number + 1
            self.volumes[name] = source
        self.mounts[os.path.normpath(target)] = {"name": name, "mountPath": target, **{key: value for key, value in more.items() if value}}

    def result(self) -> tuple[list[Object], tuple[Object, ...]]:
        """(volumeMounts, volumes)."""
        used = {mount["name"] for mount in self.mounts.values()}
        return list(self.mounts.values()), tuple({"name": name, **source} for name, source in self.volumes.items() if name in used)


def build(found: Section, work: Work, name: str) -> tuple[list[Object], tuple[Object, ...]]:
    """(volumeMounts, volumes) of a service."""
    made = Mounts(found, work, name)
    for other, read_only in _from(found, work):
        for one in other.sections("volumes"):
            _volume(one, made, read_only)
    for one in found.sections("volumes"):
        _volume(one, made, False)
    for word in found.words("tmpfs"):
        target, _, options = word.partition(":")
        sizes = [option[5:] for option in options.split(",") if option.startswith("size=")]
        _memory(made, target, sizes[0] if sizes else "")
    if "shm_size" in found:
        _memory(made, "/dev/shm", found.text("shm_size"))
    for kind in ("configs", "secrets"):
        for one in found.sections(kind):
            _file(one, made, kind)
    return made.result()


def _from(found: Section, work: Work) -> list[tuple[Section, bool]]:
    """The services whose volumes are taken over (`volumes_from`), and whether they are only read."""
    made = []
    for word in found.words("volumes_from"):
        name, _, mode = word.partition(":")
        if name == "container" or name not in work.project.services:
            found.note("volumes_from", f"{word}: only services of this project are known")
        else:
            made.append((Section(work.project.services[name], f"services.{name}", work.report), mode == "ro"))
            found.note("volumes_from", f"what {name} keeps in volumes without a name is not shared")
    return made


def _memory(made: Mounts, target: str, size: str) -> None:
    source: Object = {"medium": "Memory"}
    if size:
        try:
            source["sizeLimit"] = amounts.quantity(amounts.size(size))
        except ValueError as error:
            made.found.fault("tmpfs", str(error))
    made.add(names.label(target), {"emptyDir": source}, target)


def _volume(one: Section, made: Mounts, read_only: bool) -> None:
    one.only("type source target read_only consistency bind volume tmpfs image")
    kind, source, target = one.text("type", "volume"), one.text("source"), one.text("target")
    read_only = read_only or one.flag("read_only")
    if not target:
        one.fault("target", "a mount needs its target", reason="FieldValueRequired")
    elif kind == "tmpfs":
        _memory(made, target, one.section("tmpfs").text("size"))
    elif kind == "bind":
        _bind(one, made, source, target, read_only)
    elif kind == "image":
        made.add(names.label(source), {"image": {"reference": source}}, target, subPath=one.section("image").text("subpath"))
    elif kind == "volume" and source:
        _named(one, made, source, target, read_only)
    elif kind == "volume":
        made.add(names.label(target), {"emptyDir": {}}, target, readOnly=read_only)
    else:
        one.note("", f"a mount of type {kind} is none of Kubernetes'")


def _bind(one: Section, made: Mounts, source: str, target: str, read_only: bool) -> None:
    """A path of this machine; a file of the project that is only read becomes a ConfigMap, which a cluster has too."""
    work, options = made.work, one.section("bind")
    kind = work.folder.kind(source)
    if kind == "file" and read_only and work.folder.inside(source, work.project.directory):
        content = _small(source, work)
        if content is not None:
            _mapped(made, source, source.rpartition("/")[2], content, target)
            one.note("", f"{source} became a ConfigMap, with the content it has now")
            return
    types = {"file": "File", "socket": "Socket", "directory": "Directory", "": "DirectoryOrCreate"}
    there = types.get(kind, "")
    if there == "DirectoryOrCreate" and not options.flag("create_host_path", True):
        there = "Directory"
    path: Object = {"path": source, **({"type": there} if there else {})}
    propagation = _PROPAGATION.get(options.text("propagation"), "")
    made.add(names.label(source.rpartition("/")[2]) or "root", {"hostPath": path}, target, readOnly=read_only, mountPropagation=propagation)


def _small(path: str, work: Work) -> bytes | None:
    """The content of a file that a ConfigMap can hold."""
    try:
        content: bytes = work.folder.read(path)
    except (NotFound, InvalidInput):
        return None
    return content if len(content) <= MOST else None


def _mapped(made: Mounts, thing: str, file: str, content: bytes, target: str) -> None:
    name = made.work.files.of(thing, names.label(file) or "file")
    key = names.key(file)
    made.work.put(config_map(name, {key: content}))
    made.add(name, {"configMap": {"name": name}}, target, subPath=key, readOnly=True)


def _content(path: str, one: Section, work: Work) -> bytes | None:
    try:
        content: bytes = work.folder.read(path)
        return content
    except (NotFound, InvalidInput) as error:
        one.fault("", str(error.message))
        return None


def _named(one: Section, made: Mounts, source: str, target: str, read_only: bool) -> None:
    declared = made.work.top("volumes", source)
    if declared is None:
        one.fault("source", f"undefined volume {source!r}", "declare it under `volumes:` at the top of the file", "FieldValueNotFound")
        return
    declared.only("name driver driver_opts external labels")
    sub = one.section("volume").text("subpath")
    options = declared.section("driver_opts")
    if options.text("type") == "tmpfs":
        _memory(made, target, "")
    elif "bind" in options.text("o").split(",") and options.text("device"):
        _bind(Section(Map({"bind": Map()}, {}), declared.path, one.report, declared.whole), made, options.text("device"), target, read_only)
    else:
        made.add(
            names.label(source),
            {"persistentVolumeClaim": {"claimName": _claim(declared, source, made)}},
            target,
            readOnly=read_only,
            subPath=sub,
        )
        if not read_only:
            made.work.sharing.setdefault(_claim_name(declared, source, made), []).append(made.name)


def _claim_name(declared: Section, source: str, made: Mounts) -> str:
    own = declared.text("name") or (declared.section("external").text("name") if isinstance(declared.raw("external"), dict) else "")
    name = names.label(own or source) or "data"
    return name if declared.raw("external") not in (None, False) else made.work.claims.of(source, name)


def _claim(declared: Section, source: str, made: Mounts) -> str:
    """The claim of a named volume; one that is external must be there."""
    name = _claim_name(declared, source, made)
    if declared.raw("external") not in (None, False):
        declared.note("", f"external: a PersistentVolumeClaim {name} must be there")
        return name
    if declared.raw("driver_opts") or declared.text("driver") not in ("", "local"):
        declared.note("", "how a volume is stored is for its StorageClass to say: the driver and its options are left out")
    size = declared.pairs("labels").get("kompose.volume.size")
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size or SIZE}}}
    made.work.put({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": spec})
    return name


def _file(one: Section, made: Mounts, kind: str) -> None:
    """A secret or config: one file at its target."""
    source, target = one.text("source"), one.text("target")
    declared = made.work.top(kind, source)
    if declared is None:
        one.fault("source", f"undefined {kind[:-1]} {source!r}", f"declare it under `{kind}:` at the top of the file", "FieldValueNotFound")
        return
    if not target.startswith("/"):
        target = f"/run/secrets/{target or source}" if kind == "secrets" else f"/{target or source}"
    for key in ("uid", "gid"):
        if one.text(key, "0") != "0":
            one.note(key, "files of a volume belong to root: fsGroup of the pod's securityContext gives them a group")
    mode = _mode(one)
    key, given = names.key(source), made.work.secrets if kind == "secrets" else made.work.files
    name = names.label(declared.text("name") or source) or "file"
    external = declared.raw("external") not in (None, False)
    name = name if external else given.of((kind, source), name)
    if external:
        declared.note("", f"external: a {'Secret' if kind == 'secrets' else 'ConfigMap'} {name} with the key {key} must be there")
    elif kind == "secrets":
        made.work.put({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": {key: _secret(declared, made)}})
    else:
        content = _config(declared, made)
        if content is not None:
            made.work.put(config_map(name, {key: content}))
    inner = {"items": [{"key": key, "path": key, "mode": mode}]}
    volume: Object = {"secret": {"secretName": name, **inner}} if kind == "secrets" else {"configMap": {"name": name, **inner}}
    made.add(names.label(f"{kind[:-1]}-{source}"), volume, target, subPath=key, readOnly=True)


def _mode(one: Section) -> int:
    """docker's mode of such a file is 0444; a text is octal, a number is what YAML made of it."""
    value = one.raw("mode")
    if value is None:
        return 0o444
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 0o777:
        return value
    if isinstance(value, str) and value.removeprefix("0o").isdecimal() and len(value) < 7 and not set(value) & {"8", "9"}:
        return int(value.removeprefix("0o"), 8) & 0o777
    one.wrong("mode", "a mode as 0440")
    return 0o444


def _secret(declared: Section, made: Mounts) -> str:
    import base64

    declared.only("file environment external name labels driver driver_opts template_driver")
    if not made.work.options.show_secrets:
        return PLACEHOLDER
    content = _content(declared.text("file"), declared, made.work) if "file" in declared else _variable(declared, made)
    if "file" in declared:
        outside(declared.text("file"), declared, "file", made.work)
    return base64.b64encode(content or b"").decode()


def _config(declared: Section, made: Mounts) -> bytes | None:
    declared.only("file content environment external name labels template_driver")
    if "content" in declared:
        return declared.text("content").encode()
    if "environment" in declared:
        return _variable(declared, made)
    if "file" not in declared:
        declared.fault("", "one of `file`, `content`, `environment` or `external`", reason="FieldValueRequired")
        return None
    content = _content(declared.text("file"), declared, made.work)
    outside(declared.text("file"), declared, "file", made.work)
    if content is not None and len(content) > MOST:
        declared.fault("file", "is larger than 1 MiB, which no ConfigMap holds")
        return None
    return content


def _variable(declared: Section, made: Mounts) -> bytes | None:
    name = declared.text("environment")
    if not name:
        declared.fault("", "one of `file`, `environment` or `external`", reason="FieldValueRequired")
        return None
    if name not in made.work.project.environ:
        declared.fault("environment", f"the variable {name} is not set", reason="FieldValueNotFound")
        return None
    return made.work.project.environ[name].encode()

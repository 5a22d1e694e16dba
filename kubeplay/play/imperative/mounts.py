"""-v, --mount, --tmpfs, --device, --shm-size and --read-only as volumes and their mounts."""

from __future__ import annotations

from typing import Any

from kubeplay.errors import InvalidInput, NotFound, NotSupported
from kubeplay.play.imperative import words
from kubeplay.play.imperative.draft import Draft, Given, Machine

# Options of a mount that say what is so anyway, or have no meaning without SELinux and user namespaces of single mounts.
_NOTHING = frozenset(("rw", "z", "Z", "private", "rprivate", "bind", "rbind", "nocopy", "exec", "suid", "dev", "async"))
_PROPAGATION = {"slave": "HostToContainer", "rslave": "HostToContainer", "shared": "Bidirectional", "rshared": "Bidirectional"}
_FLAGS = frozenset(("noexec", "nosuid", "nodev", "copy", "noatime", "relatime"))  # a Pod's mount has none of these
_SCRATCH = ("/run", "/tmp", "/var/tmp")  # podman's --read-only-tmpfs


def fill(draft: Draft, given: Given, machine: Machine) -> None:
    """Everything that is mounted, in podman's order. Raises InvalidInput, NotFound, NotSupported."""
    for text in given.get("mount", ()):
        _long(draft, text, machine)
    for text in given.get("volume", ()):
        _short(draft, text, machine)
    for text in given.get("tmpfs", ()):
        path, _, options = text.partition(":")
        _memory(draft, "--tmpfs", path, options.split(",") if options else [])
    for text in given.get("device", ()):
        _device(draft, text, machine)
    if given.get("shm_size"):
        volume = draft.volume("shm", {"emptyDir": {"medium": "Memory", "sizeLimit": words.size("--shm-size", given["shm_size"])}})
        draft.mount(volume, "/dev/shm")
    if given.get("read_only"):
        _read_only(draft, given.get("read_only_tmpfs", True))
    _once(draft)


def _once(draft: Draft) -> None:
    paths = [mount["mountPath"].rstrip("/") for mount in draft.container.get("volumeMounts", ())]
    for path in paths:
        if paths.count(path) > 1:
            raise InvalidInput(f"{path}: duplicate mount destination")


def _short(draft: Draft, text: str, machine: Machine) -> None:
    """-v [SOURCE:]PATH[:OPTIONS]"""
    source, colon, rest = text.partition(":")
    if not colon:
        draft.mount(draft.volume(source, {"emptyDir": {}}), _inside("--volume", text, source))
        return
    path, _, options = rest.partition(":")
    if not source:
        raise InvalidInput(f"--volume {text!r}: host directory cannot be empty")
    more = _options(draft, f"--volume {text}", options.split(",") if options else [])
    if source.startswith(("/", ".", "~")):
        _host(draft, "--volume", source, _inside("--volume", text, path), more, machine)
    else:
        _named(draft, source, _inside("--volume", text, path), more)


def _inside(flag: str, text: str, path: str) -> str:
    if not path.startswith("/"):
        raise InvalidInput(f'{flag} {text!r}: invalid container path "{path}", must be an absolute path')
    return path


def _options(draft: Draft, where: str, options: list[str]) -> dict[str, Any]:
    """Fields of the mount. Raises NotSupported."""
    made: dict[str, Any] = {}
    for option in options:
        if option in ("ro", "readonly"):
            made["readOnly"] = True
        elif option in _PROPAGATION:
            made["mountPropagation"] = _PROPAGATION[option]
        elif option in _FLAGS:
            draft.warnings.append(f"{where}: {option} has no effect: a Pod's mounts have no such option")
        elif option not in _NOTHING:
            raise NotSupported(f"{where}: the option {option!r} is not supported", hint="known: ro, rw, rslave, rshared, z, Z")
    return made


def _host(draft: Draft, flag: str, source: str, path: str, more: dict[str, Any], machine: Machine) -> None:
    """A path of this machine; what it is goes into the manifest, so that another machine tells when it is not so there."""
    full = machine.absolute(source)
    kind = machine.kind(full)
    if not kind:
        raise NotFound(f"{flag} {source}: {full} does not exist", hint=f"mkdir {full}, or use the name of a volume")
    draft.mount(draft.volume(f"{full.strip('/') or 'root'}-host", {"hostPath": {"path": full, "type": kind}}), path, **more)


def _named(draft: Draft, name: str, path: str, more: dict[str, Any]) -> None:
    from kubeplay.kube.names import dns_subdomain

    if dns_subdomain(name):
        hint = f"{words.label(name)} would do" if words.label(name) else "as web-data"
        raise InvalidInput(f"volume name {name!r}: a claim's name has only a-z, 0-9, - and .", hint=hint)
    draft.claims.append(name)
    known = next((v["name"] for v in draft.volumes if (v.get("persistentVolumeClaim") or {}).get("claimName") == name), "")
    draft.mount(known or draft.volume(name, {"persistentVolumeClaim": {"claimName": name}}), path, **more)


def _memory(draft: Draft, flag: str, path: str, options: list[str]) -> None:
    """A tmpfs of the pod's own."""
    source: dict[str, Any] = {"medium": "Memory"}
    more: dict[str, Any] = {}
    for option in options:
        key, _, value = option.partition("=")
        if key in ("size", "tmpfs-size"):
            source["sizeLimit"] = words.size(f"{flag} size", value)
        elif key in ("mode", "tmpfs-mode", "uid", "gid", "tmpcopyup", "notmpcopyup", "nr_inodes", "huge"):
            draft.warnings.append(f"{flag} {path}: {option} has no effect: an emptyDir is 0777 and empty")
        else:
            more |= _options(draft, f"{flag} {path}", [option])
    draft.mount(draft.volume(f"tmp-{path}", {"emptyDir": source}), _inside(flag, path, path), **more)


def _device(draft: Draft, text: str, machine: Machine) -> None:
    """--device HOST[:CONTAINER][:rwm]"""
    source, _, rest = text.partition(":")
    path, _, rights = rest.partition(":")
    if path and not path.startswith("/"):
        path, rights = "", path
    if rights and sorted(rights) != sorted("rwm"):
        raise NotSupported(f"--device {text}: rights {rights!r} are not supported", hint="a Pod's device has all of rwm")
    if not source.startswith("/") and "/" in text and "=" in text:  # a name of the Container Device Interface
        draft.container.setdefault("resources", {}).setdefault("limits", {})[text] = "1"
        return
    if not source.startswith("/"):
        raise NotSupported(f"--device {text}: not a path of a device", hint="as /dev/fuse, or VENDOR/CLASS=NAME")
    kind = machine.kind(source)
    if kind not in ("CharDevice", "BlockDevice"):
        raise NotFound(f"--device {text}: {source} is {'not a device' if kind else 'not there'}")
    draft.mount(draft.volume(source, {"hostPath": {"path": source, "type": kind}}), path or source)


def _read_only(draft: Draft, scratch: bool) -> None:
    draft.security["readOnlyRootFilesystem"] = True
    used = {mount["mountPath"].rstrip("/") for mount in draft.container.get("volumeMounts", ())}
    for path in _SCRATCH if scratch else ():
        if path not in used:
            draft.mount(draft.volume(f"tmp-{path}", {"emptyDir": {"medium": "Memory"}}), path)


def _long(draft: Draft, text: str, machine: Machine) -> None:
    """--mount type=bind|volume|tmpfs|image|devpts,source=...,target=...,..."""
    values: dict[str, str] = {}
    options: list[str] = []
    for part in text.split(","):
        key, equals, value = part.partition("=")
        key = {"src": "source", "dst": "target", "destination": "target"}.get(key, key)
        if key in ("type", "source", "target", "subpath", "tmpfs-size", "tmpfs-mode", "bind-propagation", "size", "mode") and equals:
            values[key] = value
        elif key in ("ro", "readonly", "rw") and value.lower() in ("", "true", "1", "false", "0"):
            options.append("ro" if (key != "rw") == (value.lower() in ("", "true", "1")) else "rw")
        else:
            raise NotSupported(f"--mount {text}: {part!r} is not supported")
    path = _inside("--mount", text, values.get("target", ""))
    options += [values["bind-propagation"]] if "bind-propagation" in values else []
    kind, source = values.get("type", "volume"), values.get("source", "")
    if kind == "tmpfs":
        sized = [f"{key}={values[key]}" for key in ("size", "tmpfs-size", "mode", "tmpfs-mode") if key in values]
        _memory(draft, "--mount", path, [*options, *sized])
        return
    more = _options(draft, f"--mount {text}", options)
    if values.get("subpath"):
        more["subPath"] = values["subpath"].strip("/")
    if kind == "bind" and source:
        _host(draft, "--mount", source, path, more, machine)
    elif kind == "volume":
        _named(draft, source, path, more) if source else draft.mount(draft.volume(path, {"emptyDir": {}}), path, **more)
    elif kind == "image" and source:
        more.pop("readOnly", None)
        draft.mount(draft.volume(path, {"image": {"reference": source}}), path, **more)
    else:
        raise NotSupported(f"--mount {text}: type {kind!r} is not supported", hint="known: bind (with source), volume, tmpfs, image")

"""Metadata instructions applied to an image's document: pure, a new document each time."""

from __future__ import annotations

from typing import Any

from kubeplay.engine.build import model
from kubeplay.engine.build.model import Action, BuildOptions, Document
from kubeplay.engine.build.scope import DEFAULT_PATH

# What only docker's format has (OCI image-spec config.md lists the rest); buildah's words.
_DOCKER_ONLY = (("Healthcheck", "HEALTHCHECK"), ("Shell", "SHELL"), ("OnBuild", "ONBUILD"))


def scratch(platform: str) -> Document:
    """The document of an empty image: a PATH, as buildah and docker give it."""
    system, _, rest = platform.partition("/")
    machine, _, variant = rest.partition("/")
    return {
        "architecture": machine,
        "os": system,
        **({"variant": variant} if variant else {}),
        "config": {"Env": [f"PATH={DEFAULT_PATH}"]},
        "rootfs": {"type": "layers", "diff_ids": []},
        "history": [],
    }


def apply(document: Document, action: Action) -> Document:
    """The document after `action`; the same one if that changes nothing."""
    if isinstance(action, model.Maintainer):
        return {**document, "author": action.name}
    changes = _changes(dict(document.get("config") or {}), action)
    if not changes:
        return document
    config = {**(document.get("config") or {}), **changes}
    return {**document, "config": {key: value for key, value in config.items() if value is not None}}


def _changes(config: dict[str, Any], action: Action) -> dict[str, Any]:
    """Keys of `config` with their new values; None takes a key away."""
    match action:
        case model.Env(pairs):
            return {"Env": set_env(config.get("Env") or [], pairs)}
        case model.Label(pairs):
            return {"Labels": {**(config.get("Labels") or {}), **dict(pairs)}}
        case model.Cmd(argv):
            return {"Cmd": _list(argv), "ArgsEscaped": None}
        case model.Entrypoint(argv, keep_cmd):
            return {"Entrypoint": _list(argv), "ArgsEscaped": None, **({} if keep_cmd else {"Cmd": None})}
        case model.User(user):
            return {"User": user}
        case model.Workdir(path):
            return {"WorkingDir": path}
        case model.Volume(paths):
            return {"Volumes": {**(config.get("Volumes") or {}), **{path: {} for path in paths}}}
        case model.Expose(ports):
            return {"ExposedPorts": {**(config.get("ExposedPorts") or {}), **{port: {} for port in ports}}}
        case model.StopSignal(name):
            return {"StopSignal": name}
        case model.Healthcheck():
            return {"Healthcheck": _healthcheck(action)}
        case model.Shell(argv):
            return {"Shell": list(argv)}
        case model.Onbuild(trigger):
            return {"OnBuild": [*(config.get("OnBuild") or []), trigger]}
    return {}


def set_env(env: list[str], pairs: tuple[tuple[str, str], ...]) -> list[str]:
    """NAME=VALUE entries with `pairs` set: in place, else at the end. What was set twice is once after `finish` at the latest."""
    if len(pairs) == 1 and f"\0{pairs[0][0]}=" not in "\0".join(("", *env)):  # a file may hold thousands of ENVs
        return [*env, "=".join(pairs[0])]
    merged = {entry.partition("=")[0]: entry for entry in env if entry.find("=") > 0}
    merged.update((name, f"{name}={value}") for name, value in pairs)
    return list(merged.values())


def _list(argv: tuple[str, ...] | None) -> list[str] | None:
    return None if argv is None else list(argv)


def _healthcheck(action: model.Healthcheck) -> dict[str, Any]:
    times = {
        "Interval": action.interval,
        "Timeout": action.timeout,
        "StartPeriod": action.start_period,
        "StartInterval": action.start_interval,
        "Retries": action.retries,
    }
    return {"Test": list(action.test), **{key: value for key, value in times.items() if value}}


def without_triggers(document: Document) -> Document:
    """A child's document does not repeat its base's ONBUILD."""
    config = {key: value for key, value in (document.get("config") or {}).items() if key != "OnBuild"}
    return {**document, "config": config}


def finish(document: Document, options: BuildOptions) -> tuple[Document, tuple[str, ...]]:
    """The command line's --env, --label and --unset..., and what `format` cannot hold left out; with the warnings that need telling."""
    config = dict(document.get("config") or {})
    env = [entry for entry in config.get("Env") or [] if entry.split("=", 1)[0] not in options.unset_env]
    labels = {name: text for name, text in (config.get("Labels") or {}).items() if name not in options.unset_labels}
    config["Env"], config["Labels"] = set_env(env, options.env), {**labels, **dict(options.labels)}
    warnings = []
    for key, name in _DOCKER_ONLY if options.format == "oci" else ():
        if config.pop(key, None):
            warnings.append(f"{name} is not supported for OCI image format and will be ignored. Must use `docker` format")
    for key in ("Env", "Labels"):
        if not config[key]:
            del config[key]
    return {**document, "config": config}, tuple(warnings)

"""Keys of the layer cache: a hash of all that decides a step's layer, and of nothing else.

The parent is the chain of layers below, not of instructions: LABEL, CMD, EXPOSE or a comment change no file, so what follows them is found
again. RUN's key has its whole environment, because any program may read it.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from kubeplay.engine.build import model
from kubeplay.engine.build.model import Step
from kubeplay.engine.build.running import NO_ORIGIN

VERSION = 1  # of the layers' making: count up when the same step makes another layer than before
_NUMERIC = set("0123456789:")


def key(parent: str, step: Step, digests: tuple[str, ...], platform: str) -> str:
    """Hex sha256. `parent`: the OCI chain id below ("" for none). `digests`: of contents, one per source of COPY/ADD, one per bind mount
    (and first content of a cache mount: none) of RUN, in order. Raises ValueError for a step that makes no layer.
    """
    action = step.action
    if isinstance(action, model.Run):
        what: Any = _run(action, digests)
    elif isinstance(action, model.Copy):
        what = _copy(action, digests)
        parent = "" if stands_alone(action) else parent
    elif isinstance(action, model.Workdir):
        what = ["WORKDIR", action.path, action.user]
    else:
        raise ValueError(f"{step.instruction.name} makes no layer")
    text = json.dumps([VERSION, parent, platform, what], ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def stands_alone(action: model.Copy) -> bool:
    """--link with an owner that needs no /etc/passwd of the parent."""
    return action.link and set(action.chown) <= _NUMERIC


def _run(action: model.Run, digests: tuple[str, ...]) -> Any:
    mounts = [[mount._asdict() | {"origin": None, "relabel": ""}, mount.origin == NO_ORIGIN] for mount in action.mounts]
    script = action.script.content if action.script else None
    env = sorted(action.env)
    return ["RUN", action.argv, env, action.user, action.workdir, mounts, action.network, action.security, script, digests]


def _copy(action: model.Copy, digests: tuple[str, ...]) -> Any:
    sources = [[source.kind, source.value, source.content] for source in action.sources]
    flags = [action.chown, action.chmod, action.link, action.parents, action.exclude, action.add, action.keep_git_dir, action.unpack]
    return ["COPY", sources, action.target, flags, action.checksum, digests]

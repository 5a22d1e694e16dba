"""What the files of a pod's volumes say: ConfigMaps, Secrets, the pod itself, and tokens (VO2, VO3, VO6, DA2, DA3)."""

from __future__ import annotations

import posixpath
from collections.abc import Callable

from kubeplay.engine.volumes.atomic import File
from kubeplay.errors import VolumeError
from kubeplay.kube.downward import NodeFacts, PodFacts
from kubeplay.plan.container import EPHEMERAL
from kubeplay.plan.pod import PodPlan
from kubeplay.plan.volumes import DownwardFiles, FieldFile, Files, ObjectFiles, Projected, ResourceFile, TokenFile
from kubeplay.reconcile.objects import Contents
from kubeplay.record import Record

TOKEN_MODE = 0o600  # VO6: of a pod whose one user, or whose group, is known


class Facts(Record):
    """What only the run time knows; each is asked for when a file needs it."""

    pod: Callable[[], PodFacts]
    node: Callable[[], NodeFacts]
    token: Callable[[TokenFile], str]


class _Missing(Exception):
    """Why a source cannot be shown."""


def volume_files(plan: PodPlan, contents: Contents, facts: Facts) -> dict[str, dict[str, File]]:
    """volume name -> path -> File of every volume whose files we write. Raises VolumeError (CS5, VO3)."""
    made = {}
    for volume in plan.volumes:
        if isinstance(volume.source, Files):
            try:
                made[volume.name] = _volume(plan, volume.source, contents, facts)
            except _Missing as error:
                raise VolumeError(f'MountVolume.SetUp failed for volume "{volume.name}" : {error}') from None
    return made


def _volume(plan: PodPlan, source: Files, contents: Contents, facts: Facts) -> dict[str, File]:
    """Later sources win where paths meet (VO6); all that is wrong is told at once, as a kubelet does."""
    made: dict[str, File] = {}
    wrong: list[str] = []
    for part in source.sources if isinstance(source, Projected) else (source,):
        try:
            if isinstance(part, ObjectFiles):
                found = _objects(part, contents)
            elif isinstance(part, DownwardFiles):
                found = _downward(plan, part, facts)
            else:
                assert isinstance(source, Projected)
                found = {part.path: _token(plan, part, source.default_mode, facts)}
        except _Missing as error:
            wrong.append(str(error))
        else:
            made.update((posixpath.normpath(path), file) for path, file in found.items())
    if wrong:
        raise _Missing(wrong[0] if len(wrong) == 1 else f"[{', '.join(dict.fromkeys(wrong))}]")
    return made


def _objects(source: ObjectFiles, contents: Contents) -> dict[str, File]:
    found = contents.get(source.kind, source.object_name)
    if found is None:
        if source.optional:
            return {}
        raise _Missing(f'{source.kind.lower()} "{source.object_name}" not found')
    if source.items is None:
        return {key: File(value, source.default_mode) for key, value in found.files.items()}
    made: dict[str, File] = {}
    for item in source.items:
        if item.key in found.files:
            made[item.path] = File(found.files[item.key], source.default_mode if item.mode < 0 else item.mode)
        elif not source.optional:
            what = "config key" if source.kind == "ConfigMap" else "secret key"
            raise _Missing(f"{source.kind.lower()} references non-existent {what}: {item.key}")
    return made


def _downward(plan: PodPlan, source: DownwardFiles, facts: Facts) -> dict[str, File]:
    made = {}
    for item in source.items:
        text = _field(item, facts) if isinstance(item, FieldFile) else _resource(plan, item, facts)
        made[item.path] = File(text.encode("utf-8", "surrogateescape"), source.default_mode if item.mode < 0 else item.mode)
    return made


def _field(item: FieldFile, facts: Facts) -> str:
    from kubeplay.kube import downward

    value = downward.volume_field(item.field, facts.pod())
    if value is None:
        raise _Missing(f"unsupported fieldPath: {item.field}")
    return value


def _resource(plan: PodPlan, item: ResourceFile, facts: Facts) -> str:
    from kubeplay.kube import downward

    container = next((c for c in plan.containers if c.name == item.container), None)
    if container is None:
        raise _Missing(f"container {item.container} not found")
    value = downward.resource(item.resource, item.divisor, container.resources, facts.node())
    if value is None:
        raise _Missing(f"unsupported container resource : {item.resource}")
    return value


def _token(plan: PodPlan, item: TokenFile, mode: int, facts: Facts) -> File:
    """0600 of the pod's user where all containers have the same one; fsGroup's volume rule makes that 0640 (record 039, 219)."""
    containers = [c for c in plan.containers if c.kind != EPHEMERAL]
    users = {c.security.run_as_user for c in containers}
    user = next(iter(users)) if len(users) == 1 else None
    group = next((c.security.fs_group for c in containers if c.security.fs_group is not None), None)
    known = user is not None or group is not None
    return File(facts.token(item).encode(), TOKEN_MODE if known else mode, -1 if user is None else user)

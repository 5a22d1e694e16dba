"""`kubeplay build`: from a Containerfile and its context to an image in the store."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from kubeplay.engine.build import contexts, mutate, parse, plan, scope, unfold, workspace
from kubeplay.engine.build.model import BuildOptions, Document, Stage
from kubeplay.engine.build.request import Request, Silent
from kubeplay.engine.build.session import IMAGE_PREFIXES, Session
from kubeplay.engine.build.stages import DISK, Base, Builder, Finished
from kubeplay.engine.images import reference
from kubeplay.engine.store.builds import StepRow
from kubeplay.errors import Exhausted, InvalidInput, NotSupported

if TYPE_CHECKING:
    from kubeplay.engine.build.request import Progress, Pull
    from kubeplay.engine.build.workspace import Engine, Workspace

OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
_OCI_MANIFEST, _OCI_CONFIG = "application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.config.v1+json"


def build(engine: Engine, request: Request, progress: Progress | None = None, pull: Pull | None = None) -> str:
    """Build an image and give it the request's tags; returns its id (sha256:HEX).

    Whatever goes wrong, nothing is left but finished layers that a next attempt finds again. Raises InvalidInput (the Containerfile:
    all faults), BuildError (a step; `exit_code` is its program's), NotFound, NotSupported, Exhausted, and what pulling raises.
    """
    told = progress or Silent()
    tags = tuple(_tag(name) for name in request.tags)
    if request.squash and request.layers:
        request = request._replace(layers=False)
    workspace.sweep(engine)
    engine.images.layers.sweep()
    try:
        with engine.images.layers.reading(), workspace.Workspace(engine) as space:
            return _build(space, request, told, pull, tags)
    except OSError as error:
        if error.errno in DISK:
            raise Exhausted("the build: no space left on the disk", hint="free some space (kubeplay image prune) and try again") from error
        raise InvalidInput(f"the build: {error.filename or ''}: {error.strerror}") from error


def _build(space: Workspace, request: Request, progress: Progress, pull: Pull | None, tags: tuple[str, ...]) -> str:
    machine = machine_platform()
    context = contexts.opened(space, request)
    try:
        session = Session(space, request, context, machine, progress, pull)
        try:
            finished, warnings = _stages(session)
            for text in warnings:
                progress.warning(text)
            return _store(session, finished, tags)
        finally:
            session.close()
    finally:
        os.close(context.root)


def _stages(session: Session) -> tuple[Finished, Sequence[str]]:
    request = session.request
    instructions = tuple(one for name, data in session.context.files for one in parse.parse(data, name))
    planned = plan.plan(instructions, options(request, session.machine, os.environ))
    for text in planned.warnings:
        session.progress.warning(text)
    several, done = len(planned.order) > 1, []
    for number, index in enumerate(planned.order, 1):
        stage = planned.stages[index]
        prefix = f"[{number}/{len(planned.order)}] " if several else ""
        base = _base(session, stage)
        unfolded = unfold.unfold(planned, stage, base.document)
        done.append(unfolded)
        total = 1 + len(unfolded.steps)
        session.progress.line(f"{prefix}STEP 1/{total}: {_from(stage)}")
        for text in unfolded.warnings:
            session.progress.warning(text)
        whole = not request.layers and index == planned.target
        session.finished[index] = Builder(session, base, stage.platform, prefix, whole).run(unfolded)
    found = session.finished[planned.target]
    document, warnings = mutate.finish(found.document, planned.options)
    return found._replace(document=document), (*warnings, *unfold.unconsumed(planned, done))


def _from(stage: Stage) -> str:
    """A stage's FROM with the reference that its variables or --from came to, as podman prints it."""
    if stage.base.kind == "stage" or stage.base.value in stage.start.text.split():
        return unfold.display(stage.start)
    return f"FROM {stage.base.value}{f' AS {stage.name}' if stage.name else ''}"


def options(request: Request, machine: str, environ: Mapping[str, str]) -> BuildOptions:
    """What planning must know."""
    return BuildOptions(
        build_args=request.build_args, target=request.target, platform=request.platform or machine, build_platform=machine,
        contexts=tuple(name for name, _ in request.build_contexts), proxy=_proxies(environ) if request.http_proxy else (),
        labels=request.labels, annotations=request.annotations, env=request.env, unset_env=request.unset_env,
        unset_labels=request.unset_labels, base=request.base, format=request.format, skip_unused_stages=request.skip_unused_stages,
    )  # fmt: skip


def _proxies(environ: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple((name, environ[name]) for name in scope.PROXIES if name in environ)


def _base(session: Session, stage: Stage) -> Base:
    origin = stage.base
    if origin.kind == "scratch":
        return Base((), mutate.scratch(stage.platform), ())
    if origin.kind == "stage":
        found = session.finished[origin.stage]
        return Base(found.layers, found.document, found.history)
    name = origin.value
    if origin.kind == "named":
        value = session.named(name)
        if not value.startswith(IMAGE_PREFIXES):
            raise NotSupported(f"FROM {name}: a --build-context that is a directory cannot be a base", hint="COPY --from takes files of it")
        name = value.partition("://")[2]
    row = session.image(name, stage.platform)
    document: Document = json.loads(row.config)
    known = [entry for entry in document.get("history") or () if isinstance(entry, dict)]
    label = next(iter(session.workspace.engine.images.names(row.id)), row.id[7:19])
    return Base(row.layers, document, tuple(known), label)


def _store(session: Session, finished: Finished, tags: tuple[str, ...]) -> str:
    """The image of a finished stage: one that was made before, or a new one."""
    images, request, rows = session.workspace.engine.images, session.request, session.rows
    if request.squash == "all":
        finished = _flat(session, finished)
    key = _result_key(request, finished)
    row = rows.get(key) if not request.no_cache else None
    known = row.image_id if row is not None and images.resolve(row.image_id) is not None else ""
    session.progress.line(f"COMMIT {tags[0]}" if tags else "COMMIT")
    if known:
        found = known
        if tags:
            images.tag(found, *tags)
    else:
        config = _config(session, finished)
        found = images.add(config, _manifest(session, config, finished), tags)
        rows.add(StepRow(key, key, "", session.now(), image_id=found))
    rows.own([*(k for stage in session.finished.values() for k in stage.keys), key], found)
    session.progress.line(f"--> {found[7:19]}")
    for tag in tags:
        session.progress.line(f"Successfully tagged {tag}")
    return found


def _result_key(request: Request, finished: Finished) -> str:
    """What the image follows from, but for the time of its making."""
    timeless = [{key: value for key, value in entry.items() if key != "created"} for entry in finished.history]
    asked = (request.format, request.annotations, request.timestamp, request.epoch, request.omit_history)
    parts = [finished.layers, finished.document, timeless, *asked]
    return sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _config(session: Session, finished: Finished) -> bytes:
    document = {key: value for key, value in finished.document.items() if key not in ("rootfs", "history", "created")}
    document["created"] = session.now()
    document["rootfs"] = {"type": "layers", "diff_ids": list(finished.layers)}
    if not session.request.omit_history:
        document["history"] = list(_history(finished))
    return json.dumps(document, separators=(",", ":")).encode()


def _history(finished: Finished) -> Sequence[dict[str, Any]]:
    """Base images may lack entries; then as many layers as entries say, or none of it (image-spec asks for one per layer)."""
    count = sum(1 for entry in finished.history if not entry.get("empty_layer"))
    missing = len(finished.layers) - count
    return ({"created": "1970-01-01T00:00:00Z", "created_by": "unknown"},) * max(0, missing) + finished.history


def _manifest(session: Session, config: bytes, finished: Finished) -> bytes:
    """docker's manifest is what the store makes by itself; an OCI one has annotations."""
    if session.request.format == "docker":
        return b""
    metas = [session.layers.meta(layer) for layer in finished.layers]
    manifest: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": _OCI_MANIFEST,
        "config": {"mediaType": _OCI_CONFIG, "digest": f"sha256:{sha256(config).hexdigest()}", "size": len(config)},
        "layers": [{"mediaType": OCI_LAYER, "digest": meta.diff_id, "size": meta.size} for meta in metas],
    }
    if session.request.annotations:
        manifest["annotations"] = dict(session.request.annotations)
    return json.dumps(manifest, separators=(",", ":")).encode()


def _flat(session: Session, finished: Finished) -> Finished:
    """--squash-all: everything in one layer, the base's files too."""
    from kubeplay.engine.build import places
    from kubeplay.engine.build.sources import Tree
    from kubeplay.engine.build.transfer import Result, Target, Transfer

    if lacks := session.layers.lacks(finished.layers):
        session.progress.warning(f"in the squashed image: {lacks}")
    source = places.open_root(session.workspace.view(finished.layers))
    name = session.workspace.name("flat")
    session.workspace.mount(name, ())
    session.workspace.unmount(name)
    upper = session.workspace.upper(name)
    target = places.open_root(upper)
    transfer = Transfer(Tree(source, "the image", keep_owner=True), Target(target, Result(None)))
    try:
        transfer.content("", target)
    finally:
        transfer.close()
        os.close(target)
        os.close(source)
    layer = session.commit(upper)
    entries = [{**entry, "empty_layer": True} for entry in finished.history]
    if entries:
        entries[-1].pop("empty_layer")
    return finished._replace(layers=(layer,), history=tuple(entries))


def machine_platform() -> str:
    """OS/ARCH[/VARIANT] of this machine."""
    from kubeplay.engine.images import platforms

    return str(platforms.machine())


def _tag(name: str) -> str:
    """A short name is local, as podman has it."""
    parsed = reference.parse(name, "localhost" if reference.is_short(name) else reference.DEFAULT_DOMAIN)
    if parsed.digest:
        raise InvalidInput(f"{name}: a name with a digest cannot be given to an image")
    return str(parsed)



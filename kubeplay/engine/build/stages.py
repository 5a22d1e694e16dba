"""One stage: its base, its steps one by one, each from the cache or done, and the layers and history it comes to."""

from __future__ import annotations

import os
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from kubeplay.clock import rfc3339
from kubeplay.engine.build import cache, copystep, emulation, history, places
from kubeplay.engine.build.model import Copy, Document, Run, Step, Workdir
from kubeplay.engine.build.mounts import Mounts
from kubeplay.engine.build.placeholders import prune, unchanged
from kubeplay.engine.store.builds import StepRow
from kubeplay.errors import BuildError, InvalidInput, NotSupported
from kubeplay.record import Record

if TYPE_CHECKING:
    from kubeplay.engine.build.model import Unfolded
    from kubeplay.engine.build.session import Session


DISK = (28, 122)  # ENOSPC, EDQUOT


class Finished(Record):
    """What a stage came to. `layers` are diff ids, base first; `keys` the cache rows it used."""

    layers: tuple[str, ...]
    document: Document
    history: tuple[dict[str, Any], ...]
    platform: str
    keys: tuple[str, ...] = ()


class Base(Record):
    """What a stage starts from; `label` is what the first history entry's comment names, "" for scratch."""

    layers: tuple[str, ...]
    document: Document
    history: tuple[dict[str, Any], ...]
    label: str = ""


class Builder:
    """The steps of one stage. With `whole` all of them write to one layer, made at the end."""

    def __init__(self, session: Session, base: Base, platform: str, prefix: str, whole: bool) -> None:
        self._session = session
        self._workspace = session.workspace
        self._platform = platform
        self._prefix = prefix
        self._whole = whole
        self._layers = list(base.layers)
        self._history = list(base.history)
        self._label = base.label
        self._keys: list[str] = []
        self._named = str(base.document)
        self._open = ""  # the mounted step of a `whole` stage
        self._touched: set[str] = set()
        self._warm = not session.request.no_cache

    def run(self, unfolded: Unfolded) -> Finished:
        last = max((number for number, step in enumerate(unfolded.steps) if step.layer), default=-1)
        for number, step in enumerate(unfolded.steps):
            self._session.progress.line(f"{self._prefix}STEP {step.number}/{step.total}: {step.display}")
            try:
                self._step(step, number == last)
            except (BuildError, InvalidInput, OSError) as error:
                raise _at(step, error) from error
        return Finished(tuple(self._layers), unfolded.document, tuple(self._history), self._platform, tuple(self._keys))

    def _step(self, step: Step, last: bool) -> None:
        if not step.layer:
            self._note(step, self._session.now(), empty=True)
            if not self._whole:
                self._session.progress.line(f"--> {self._name(step)}")
        elif self._whole:
            self._together(step, last)
        else:
            self._apart(step)

    def _name(self, step: Step) -> str:
        """What a step is called: no image, but the same as long as nothing below it changes."""
        self._named = sha256(f"{chain(self._layers)} {self._named} {step.action}".encode()).hexdigest()
        return self._named[:12]

    def _note(self, step: Step, created: str, *, empty: bool, summary: str = "") -> None:
        comment = f"FROM {self._label}" if self._label and len(self._keys) == 0 and step.number == 2 else ""
        self._history.append(history.entry(step, created, empty, summary, comment))

    # a layer for each step
    def _apart(self, step: Step) -> None:
        action = step.action
        if isinstance(action, Copy):
            self._copy(step, action)
            return
        digests = self._session.contents(action.mounts, self._warm) if isinstance(action, Run) else ()
        key = self._key(step, digests)
        if self._cached(step, key):
            return
        name = self._workspace.name("s")
        changed = self._mounted(name, step, action)
        self._commit(step, name, [key], key, changed)

    def _copy(self, step: Step, action: Copy) -> None:
        """Look by the stage that files come from, then by their content: reading is put off as long as no step like this one is known."""
        session = self._session
        prefix = self._key(step, ())
        early = session.identity(action.origin)
        keys = [self._key(step, (early,))] if early else []
        if keys and self._cached(step, keys[0]):
            return
        job = copystep.Step(self._workspace, action, session.origin, session.context.ignore, bool(session.request.ssh))
        try:
            if self._warm and session.rows.begins(prefix):
                key = self._key(step, job.digests())
                if self._cached(step, key):
                    if keys:
                        row = session.rows.get(key)
                        assert row is not None
                        session.rows.add(row._replace(key=keys[0]))
                        self._keys.append(keys[0])
                    return
            name = self._workspace.name("s")
            alone = cache.stands_alone(action)
            rootfs = self._workspace.mount(name, () if alone else self._layers)
            digests = job.write(rootfs, self._accounts(action) if alone else "")
            summary = job.summary(digests)
            self._tell(job)
        finally:
            job.close()
        self._commit(step, name, [*keys, self._key(step, digests)], prefix, True, summary)

    def _tell(self, job: copystep.Step) -> None:
        if lacks := job.lacks():
            self._session.progress.warning(lacks)

    def _accounts(self, action: Copy) -> str:
        return self._workspace.view(self._layers) if action.chown else ""

    def _key(self, step: Step, digests: tuple[str, ...]) -> str:
        return cache.key(chain(self._layers) + self._session.times, step, digests, self._platform + self._session.salt)

    def _cached(self, step: Step, key: str) -> bool:
        row = self._session.rows.get(key) if self._warm else None
        if row is None or (row.layer and not self._session.layers.has(row.layer)):
            return False
        if row.layer:
            self._layers.append(row.layer)
        self._note(step, row.created, empty=not row.layer, summary=row.summary)
        self._keys.append(key)
        self._session.progress.line(f"--> Using cache {row.layer.removeprefix('sha256:') or key}")
        self._session.progress.line(f"--> {self._name(step)}")
        return True

    def _commit(self, step: Step, name: str, keys: list[str], prefix: str, changed: bool, summary: str = "") -> None:
        created, layer = self._session.now(), ""
        self._workspace.unmount(name)
        if changed:
            layer = self._session.commit(self._workspace.upper(name))
            self._layers.append(layer)
        self._workspace.discard(name)
        self._note(step, created, empty=not layer, summary=summary)
        for key in keys:
            self._session.rows.add(StepRow(key, prefix, layer, created, summary))
        self._keys += keys
        self._session.progress.line(f"--> {self._name(step)}")

    def _mounted(self, name: str, step: Step, action: Run | Workdir | Any) -> bool:
        """Do a RUN or WORKDIR upon the layers so far; whether there is something to commit."""
        rootfs = self._workspace.mount(name, self._layers)
        if isinstance(action, Run):
            same = self._execute(rootfs, action)
            self._workspace.unmount(name)
            prune(self._workspace.upper(name), same)
            return True
        return self._make_directory(rootfs, action)

    # one layer for all steps
    def _together(self, step: Step, last: bool) -> None:
        action = step.action
        if not self._open:
            self._open = self._workspace.name("s")
            self._workspace.mount(self._open, self._layers)
        rootfs = f"{self._workspace.paths.bundle(self._open)}/rootfs"
        summary = ""
        if isinstance(action, Run):
            self._touched.update(self._execute(rootfs, action))
        elif isinstance(action, Copy):
            session = self._session
            job = copystep.Step(self._workspace, action, session.origin, session.context.ignore, bool(session.request.ssh))
            try:
                summary = job.summary(job.write(rootfs))
                self._tell(job)
            finally:
                job.close()
        elif isinstance(action, Workdir):
            self._make_directory(rootfs, action)
        self._note(step, self._session.now(), empty=not last, summary=summary)
        if last:
            self._workspace.unmount(self._open)
            upper = self._workspace.upper(self._open)
            prune(upper, unchanged(upper, self._workspace.view(self._layers), self._touched))
            self._layers.append(self._session.commit(upper))
            self._workspace.discard(self._open)

    def _execute(self, rootfs: str, action: Run) -> list[str]:
        session, name = self._session, self._workspace.name("r")
        if not emulation.runs(self._platform, session.machine):
            raise NotSupported(
                f"RUN in an image for {self._platform} cannot be run on this machine ({session.machine})",
                hint="apt-get install qemu-user-static binfmt-support, or build on a machine of that kind, or only copy files",
            )
        if action.security == "insecure":
            raise NotSupported("RUN --security=insecure: steps are always confined")
        mounts = Mounts(self._workspace, name, session.origin, dict(session.request.secrets), dict(session.request.ssh))
        return session.runner.run(name, rootfs, action, mounts)

    def _make_directory(self, rootfs: str, action: Workdir) -> bool:
        root = places.open_root(rootfs)
        try:
            owner = copystep.owner(action.user, rootfs, "USER ") if action.user else (0, 0)
            fd, made = places.made(root, action.path, owner)
            os.close(fd)
            return bool(made)
        finally:
            os.close(root)


def _at(step: Step, error: BuildError | InvalidInput | OSError) -> Exception:
    """The error as podman words it, with the step; a full disk is no fault of the step."""
    if isinstance(error, OSError):
        if error.errno in DISK:
            return error
        message, hint = f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror), ""
    else:
        message, hint = error.message, error.hint
    found = BuildError(f'building at STEP "{step.display}": {message}', hint=hint)
    found.exit_code = error.exit_code if isinstance(error, BuildError) else found.exit_code
    return found


def chain(layers: list[str]) -> str:
    """The chain id of layers (OCI image-spec, config.md); "" of none."""
    found = ""
    for layer in layers:
        found = "sha256:" + sha256(f"{found} {layer}".encode()).hexdigest() if found else layer
    return found


def now(seconds: float, timestamp: int | None) -> str:
    return rfc3339(float(timestamp) if timestamp is not None else seconds)

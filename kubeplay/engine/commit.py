"""commit: a container's file system and settings as an image."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from kubeplay.engine import views
from kubeplay.engine.host import faults
from kubeplay.engine.images import commit as committed
from kubeplay.engine.images import reference
from kubeplay.engine.images.commit import Wish
from kubeplay.engine.store.runtime import RUNNING, ContainerRow
from kubeplay.errors import InvalidInput, NotSupported
from kubeplay.plan.container import ContainerPlan

if TYPE_CHECKING:
    from kubeplay.engine.engine import Engine
    from kubeplay.engine.layers.records import Meta


def commit(engine: Engine, row: ContainerRow, plan: ContainerPlan, wish: Wish, name: str = "", *, pause: bool = True) -> str:
    """Make an image of a container and return its id; `name` "" gives it none.

    With `pause` the container stands still while its files are read. Raises NotRunning (it never started), NotFound (its image is gone),
    NotSupported, InvalidInput, Exhausted; then nothing is left.
    """
    from kubeplay.clock import rfc3339

    if plan.imageless:
        raise NotSupported(f"{row.name} runs programs of this machine, there is nothing to commit")
    below = views.image_layers(engine, row)
    base = engine.images.get(row.image_id).config
    depot = engine.images.layers
    committed.config(base, plan, wish, "sha256:" + "0" * 64, "")  # a change that is none is told before any work
    full = _named(name) if name else ""
    depot.sweep()
    with depot.reading():
        with standing_still(engine, row) if pause else nullcontext():
            meta = _squashed(engine, row) if wish.squash else _layer(engine, row, plan)
        faults.point("commit:layer")
        layers = (meta.diff_id,) if wish.squash else (*below, meta.diff_id)
        config = committed.config(base, plan, wish, meta.diff_id, rfc3339(engine.clock.now()))
        manifest = committed.manifest(config, [(digest, depot.meta(digest).size) for digest in layers], wish.form)
        return engine.images.add(config, manifest, (full,) if full else ())


def standing_still(engine: Engine, row: ContainerRow) -> AbstractContextManager[None]:
    """Nothing of a running container moves inside the block: by its cgroup's freezer, or where it has none by signals."""
    from kubeplay.engine.container import read_facts
    from kubeplay.engine.oci.freezer import frozen

    facts = read_facts(engine, row.id)
    if row.state != RUNNING or facts is None:
        return nullcontext()
    if facts.cgroup:
        return frozen(engine.cgroups, facts.cgroup)
    from kubeplay.engine.oci import members
    from kubeplay.engine.oci.stopped import stopped

    return stopped(lambda: members.everyone(engine.paths.bundle(row.id), shared=facts.shared_pids))


def _layer(engine: Engine, row: ContainerRow, plan: ContainerPlan) -> Meta:
    """The writable layer; what the runtime made there to mount things on is no part of it."""
    places = frozenset(map(os.fsencode, views.mount_points(plan)))
    with views.upper_directory(engine, row) as upper:
        return engine.images.layers.commit(upper, root=True, skip=lambda path, status: path in places)


def _squashed(engine: Engine, row: ContainerRow) -> Meta:
    from kubeplay.engine.layers.stream import Incoming
    from kubeplay.engine.layers.write import tar_tree

    with views.root(engine, row) as fd:
        reader = tar_tree(fd)
        try:
            return engine.images.layers.add(Incoming(reader))
        finally:
            reader.close()


def _named(name: str) -> str:
    parsed = reference.parse(name, "localhost" if reference.is_short(name) else reference.DEFAULT_DOMAIN)
    if parsed.digest:
        raise InvalidInput(f"{name}: a name with a digest cannot be given to an image")
    return str(parsed)

"""Whether the store is what its rows say, and how to mend it.

A power cut within the kernel's write-back time can leave files empty or missing that no fsync forced out (decision 0101); disks
fail. A layer is believed when the tar rebuilt from it has its diff id. Repair takes away what is broken and says what to pull again.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from kubeplay.engine.host.paths import hex_digest
from kubeplay.engine.store.images import ImageRow
from kubeplay.errors import KubeplayError, NotFound, NotSupported, StoreError
from kubeplay.record import Record

if TYPE_CHECKING:
    from kubeplay.engine.engine import Engine

LAYER, IMAGE, MANIFEST, BLOB, ORPHAN, NAME = "layer", "image", "manifest", "blob", "orphan", "name"
_CHUNK = 1 << 20
_DAY = 86_400.0


class Damage(Record):
    """One thing that is wrong: what `kind` of thing, its id or path, why, and the images that need it."""

    kind: str
    subject: str
    why: str
    images: tuple[str, ...] = ()


class Repair(Record):
    """What was done: lines to show, names of images that must be pulled again, and what stays damaged because it is in use."""

    done: tuple[str, ...]
    pull: tuple[str, ...]
    left: tuple[Damage, ...]


def check(engine: Engine, *, quick: bool = False, age: float = _DAY) -> list[Damage]:
    """Everything that is wrong. `quick` reads no contents; things that nothing refers to count when they are older than `age` seconds."""
    rows = engine.store.images.list()
    users: dict[str, list[str]] = {}
    for row in rows:
        for layer in row.layers:
            users.setdefault(layer, []).append(row.id)
    found = [Damage(LAYER, layer, why, tuple(ids)) for layer, ids in users.items() if (why := _layer(engine, layer, quick))]
    for row in rows:
        found += _image(engine, row)
    if not quick:
        found += [Damage(BLOB, digest, "does not match its digest") for digest, _ in engine.images.blobs.whole()
                  if _digest(engine.images.blobs.path(digest)) != digest]  # fmt: skip
    found += _names(engine, {row.id for row in rows})
    return [*found, *_orphans(engine, set(users) | engine.store.builds.layers(), age)]


def repair(engine: Engine, damages: list[Damage]) -> Repair:
    """Mend what can be mended and take away the rest; an image that containers use stays as it is."""
    done: list[str] = []
    pull: list[str] = []
    left: list[Damage] = []
    lost = {image_id for one in damages if one.kind in (LAYER, IMAGE) for image_id in one.images}
    for one in damages:
        if one.kind == MANIFEST and not lost.intersection(one.images):
            if _rewritten(engine, one):
                done.append(f"manifest {one.subject}: written again")
            else:
                lost.update(one.images)
        elif one.kind == BLOB:
            os.unlink(engine.images.blobs.path(one.subject))
            done.append(f"blob {one.subject}: removed; its layer is packed anew when the image is pushed")
        elif one.kind == NAME:
            engine.store.images.untag(one.subject)
            done.append(f"name {one.subject}: removed")
    for image_id in sorted(lost):
        used = engine.images.users(image_id)
        if used:
            left += [one for one in damages if image_id in one.images]
            continue
        names = engine.images.names(image_id)
        pull += names
        engine.store.images.delete(image_id)
        done.append(f"image {image_id[7:19]}: removed ({', '.join(names) or 'it had no name'})")
    done += _cleared(engine, damages, left)
    return Repair(tuple(done), tuple(pull), tuple(dict.fromkeys(left)))


def _cleared(engine: Engine, damages: list[Damage], left: list[Damage]) -> Iterator[str]:
    """Broken layers that no image has any more, and everything that nothing refers to.

    The depot's own removal does it, under its lock: a pull that just found a layer here must not lose it. What it puts off is `left`.
    """
    engine.store.builds.forget(unowned=True)
    gone = engine.images.collect()
    used = {layer for row in engine.store.images.list() for layer in row.layers}
    for one in damages:
        if one.kind == LAYER and one.subject not in used:
            if os.path.lexists(engine.paths.layer(one.subject)):
                left.append(one._replace(why=f"{one.why}, and a pull or load that is going on may use it", images=()))
            else:
                yield f"layer {one.subject}: removed"
    orphans = [one for one in damages if one.kind == ORPHAN]
    _drop_views(engine)
    lines = engine.collect()
    if gone or orphans or lines:
        yield f"{len(orphans)} things that nothing referred to: removed"


def _layer(engine: Engine, diff_id: str, quick: bool) -> str:
    """Why a layer cannot be used, "" when it can."""
    depot = engine.images.layers
    try:
        meta = depot.meta(diff_id)
    except NotFound:
        return "it is missing"
    except StoreError:
        return "its record is damaged"
    if not os.path.isdir(f"{engine.paths.layer(diff_id)}/fs"):
        return "its files are missing"
    if quick or not meta.reproducible:
        return ""
    try:
        return "" if _tar_digest(engine, diff_id) == diff_id else "its files are not what they were"
    except NotSupported:
        return ""
    except (KubeplayError, OSError) as error:
        return f"it cannot be read: {error}".partition("\n")[0]


def _tar_digest(engine: Engine, diff_id: str) -> str:
    from hashlib import sha256

    reader, found = engine.images.layers.tar(diff_id), sha256()
    try:
        while data := reader.read(_CHUNK):
            found.update(data)
    finally:
        reader.close()
    return "sha256:" + found.hexdigest()


def _image(engine: Engine, row: ImageRow) -> Iterator[Damage]:
    from kubeplay.engine.images.archive import sha256

    if sha256(row.config.encode()) != row.id:
        yield Damage(IMAGE, row.id, "its configuration does not match its id", (row.id,))
    for digest in {row.manifest_digest, *(digest for digest, _ in engine.store.images.documents(row.id))} - {""}:
        path = f"{engine.paths.root}/images/{hex_digest(digest)}"
        if not os.path.exists(path):
            yield Damage(MANIFEST, digest, "it is missing", (row.id,))
        elif _digest(path) != digest:
            yield Damage(MANIFEST, digest, "it does not match its digest", (row.id,))


def _rewritten(engine: Engine, damage: Damage) -> bool:
    """A manifest that we made ourselves (an image without one of its own) comes out the same again."""
    from kubeplay.engine.images import commit
    from kubeplay.engine.images.archive import sha256
    from kubeplay.engine.images.formats import docker_manifest

    row = engine.store.images.get(damage.images[0])
    if row is None:
        return True
    config = row.config.encode()
    try:
        layers = [(layer, engine.images.layers.meta(layer).size) for layer in row.layers]
    except KubeplayError:
        return False
    for data in (docker_manifest(config, layers), commit.manifest(config, layers, "oci"), commit.manifest(config, layers, "docker")):
        if sha256(data) == damage.subject:
            path = f"{engine.paths.root}/images/{hex_digest(damage.subject)}"
            temporary = f"{path}.{os.getpid()}"
            with open(temporary, "wb") as file:
                file.write(data)
            os.rename(temporary, path)
            return True
    return False


def _names(engine: Engine, ids: set[str]) -> Iterator[Damage]:
    known = ids | {row.id for row in engine.store.lists.all()}
    for name, image_id in engine.store.images.names():
        if image_id not in known:
            yield Damage(NAME, name, f"its image {image_id[7:19]} is gone")


def _orphans(engine: Engine, layers: set[str], age: float) -> Iterator[Damage]:
    """What nothing refers to. What a living process is making is young, or locked and so left alone by the removal."""
    root, runroot = engine.paths.root, engine.paths.runroot
    known = {hex_digest(layer) for layer in layers}
    documents = {hex_digest(digest) for digest in engine.store.images.document_digests()}
    documents |= {hex_digest(row.manifest_digest) for row in engine.store.images.list() if row.manifest_digest}
    blobs = {hex_digest(row.digest) for row in engine.store.images.blobs()}
    rooms = {f"{root}/layers": known, f"{root}/images": documents, f"{root}/blobs": blobs, f"{runroot}/views": set()}
    for directory, keep in rooms.items():
        for name in _listed(directory):
            if name not in keep and not name.startswith((".empty", ".part-")) and _age(f"{directory}/{name}") >= age:
                yield Damage(ORPHAN, f"{directory}/{name}", "nothing refers to it")
    for line in engine.leftovers():
        yield Damage(ORPHAN, line, "left by a crash")


def _drop_views(engine: Engine) -> None:
    """Mounts of commands that were killed between mounting and letting go."""
    from kubeplay.engine.layers import overlay

    for name in _listed(f"{engine.paths.runroot}/views"):
        pid = name.partition("-")[0]
        if not pid.isdigit() or not os.path.exists(f"/proc/{pid}"):
            overlay.unmount(f"{engine.paths.runroot}/views/{name}")
            os.rmdir(f"{engine.paths.runroot}/views/{name}")


def _listed(directory: str) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except FileNotFoundError:
        return []


def _age(path: str) -> float:
    try:
        return time.time() - os.lstat(path).st_mtime
    except FileNotFoundError:
        return -1.0


def _digest(path: str) -> str:
    from hashlib import sha256

    found = sha256()
    try:
        with open(path, "rb") as file:
            while data := file.read(_CHUNK):
                found.update(data)
    except OSError:
        return ""
    return "sha256:" + found.hexdigest()


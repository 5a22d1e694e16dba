"""A new layer out of an overlay upper directory: read once, hashed on the other core, no tar on the disk."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable

from kubeplay.engine.layers.records import Headers, Meta, write_records
from kubeplay.engine.layers.stream import CHUNK, Digester, Incoming
from kubeplay.engine.layers.walk import Manner, Settling
from kubeplay.engine.layers.write import tar_tree

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def copied(add: Callable[[Incoming], Meta], upper: str, manner: Manner) -> Meta:
    """The directory's tar, unpacked as any other layer: what is stored is what a puller of it will get."""
    fd = os.open(upper, _DIRECTORY)
    try:
        reader = tar_tree(fd, manner)
        try:
            return add(Incoming(reader))
        finally:
            reader.close()
    finally:
        os.close(fd)


def moved(upper: str, directory: str, manner: Manner) -> Meta | None:
    """`upper` itself as the layer made at `directory`; None, and nothing done, when it lies on another file system."""
    try:
        os.rename(upper, f"{directory}/fs")
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        return None
    fd = os.open(f"{directory}/fs", _DIRECTORY)
    try:
        if not manner.root:  # as the extractor leaves it where a layer does not say
            os.fchown(fd, 0, 0)
            os.fchmod(fd, 0o755)
        return _recorded(Settling(fd, manner), directory, manner.root)
    finally:
        os.close(fd)


def _recorded(walk: Settling, directory: str, root: bool) -> Meta:
    digester, headers = Digester(), Headers(f"{directory}/headers")
    size = waiting = 0
    pending: list[bytes] = []
    try:
        for is_content, data in walk.pieces():
            if not is_content:
                headers.add(data)
            pending.append(data)
            size += len(data)
            waiting += len(data)
            if waiting >= CHUNK:
                digester.update(b"".join(pending))
                pending.clear()
                waiting = 0
        digester.update(b"".join(pending))
        headers.finish()
        diff_id = digester.finish()
    finally:
        digester.close()
        headers.close()
    meta = Meta(diff_id, size, walk.content, walk.entries, "", diff_id, size, True)
    write_records(directory, meta, root, False)
    return meta

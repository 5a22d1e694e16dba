"""A named volume as a tar archive, and back (volume export and import).

What is in a volume was written by containers, an archive by anybody: both are walked as `cp` does, by names in open directories, never
through a link, and what would be a device is refused.
"""

from __future__ import annotations

import os
from typing import IO, TYPE_CHECKING

from kubeplay.engine.copy import How, tar_member, tar_out
from kubeplay.engine.host.idmapped import Crossing
from kubeplay.engine.host.syscalls import RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, openat2
from kubeplay.errors import Conflict, Exhausted, InvalidInput

if TYPE_CHECKING:
    from kubeplay.engine.layers.tar import Entry

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FULL = (28, 122)  # ENOSPC, EDQUOT


def export(path: str, stream: IO[bytes]) -> None:
    """Write everything in the volume at `path` to `stream`. Raises Exhausted."""
    root = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        tar_out(root, ".", stream, Crossing())
        stream.flush()
    except OSError as error:
        if error.errno in _FULL:
            raise Exhausted("no space left for the archive", hint="free some space and try again") from error
        raise
    finally:
        os.close(root)


def unpack(stream: IO[bytes], path: str, what: str) -> None:
    """Put everything of the archive, packed or plain, into the volume at `path`, over what is there. `what` names the archive in messages.

    Raises InvalidInput for an archive that is broken or would leave the volume, Conflict, Exhausted.
    """
    from kubeplay.engine.layers.stream import Incoming, Stream
    from kubeplay.engine.layers.tar import TarReader

    name, root = "", os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with Stream(Incoming(stream)) as feed:
            if feed.at_end():
                raise InvalidInput("it is empty")
            reader = TarReader(feed)
            while (entry := reader.next()) is not None:
                name = os.fsdecode(entry.name)
                if entry.type == b"1":
                    _link(entry, name, root)
                else:
                    tar_member(entry, name, reader, root, How())
            feed.finish()
    except InvalidInput as error:
        raise InvalidInput(f"{what} cannot be read: {error.message}", hint="what came before it is in the volume") from error
    except (OverflowError, ValueError) as error:
        raise InvalidInput(f"{what} cannot be read: {name[:200]!r}: {error}") from error
    except OSError as error:
        if error.errno in _FULL:
            raise Exhausted("no space left in the volume", hint="free some space and try again") from error
        raise Conflict(f"{what} cannot be unpacked: {name[:200]}: {error.strerror}") from error
    finally:
        os.close(root)


def _link(entry: Entry, name: str, root: int) -> None:
    """A second name of a file that the archive brought before; both ends are found without following a link."""
    old, new = (_parts(text) for text in (os.fsdecode(entry.link), name))
    if not old or not new:
        raise InvalidInput(f"it holds {name[:200]!r}, a link to nothing")
    source, target = _open(root, old[:-1]), _open(root, new[:-1])
    try:
        temporary = f".kubeplay-{os.urandom(6).hex()}"
        os.link(old[-1], temporary, src_dir_fd=source, dst_dir_fd=target, follow_symlinks=False)
        try:
            os.rename(temporary, new[-1], src_dir_fd=target, dst_dir_fd=target)
        finally:
            if os.path.lexists(f"/proc/self/fd/{target}/{temporary}"):  # two names of one file: rename(2) does nothing then
                os.unlink(temporary, dir_fd=target)
    finally:
        os.close(source)
        os.close(target)


def _parts(name: str) -> list[str]:
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise InvalidInput(f"it names {name[:200]!r}, which would leave the volume")
    return parts


def _open(root: int, parts: list[str]) -> int:
    return openat2(root, "/".join(parts) or ".", _DIRECTORY, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS)

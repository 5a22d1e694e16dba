"""Numbers and errors that the layers' modules share with those that do not unpack anything (a removal, a listing)."""

from __future__ import annotations

import errno

from kubeplay.errors import Exhausted, InvalidInput, StoreError

CHUNK = 1 << 20  # bytes at a time; measured: 256 KiB to 4 MiB are equal, smaller is slower
MAX_LAYER = 1 << 38  # 256 GiB unpacked; a blob that claims more is a bomb
_DISK = (errno.ENOSPC, errno.EDQUOT)
_OURS = (errno.EIO, errno.EROFS, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EACCES)


def translated(error: OSError, what: str) -> Exception:
    """The error of our tree for a failed system call."""
    if error.errno in _DISK:
        return Exhausted(f"{what}: no space left on the disk", hint="free some space (kubeplay image prune) and try again")
    if error.errno in _OURS:
        return StoreError(f"{what}: {error.strerror}")
    return InvalidInput(f"{what}: {error.strerror}")

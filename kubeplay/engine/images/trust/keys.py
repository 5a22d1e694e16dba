"""The key material that a policy names: read when a signature is to be verified, bounded, and never a device or FIFO."""

from __future__ import annotations

import os
import stat

from kubeplay.engine.images.trust.requirements import Keys
from kubeplay.errors import TrustError

_MAX_KEYS = 4 << 20  # bytes of one file; a keyring of a whole distribution has some 100 KB


def read(keys: Keys) -> tuple[bytes, ...]:
    """The bytes of every file and every piece of data. Raises TrustError naming the file."""
    return (*[_file(path) for path in keys.paths], *keys.data)


def names(keys: Keys) -> str:
    """Where the keys are, for people."""
    return ", ".join(keys.paths) or "the policy's own key data"


def _file(path: str) -> bytes:
    try:
        with open(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise TrustError(f"the key {path} is no file")
            data = file.read(_MAX_KEYS + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL or half a character in the name
        reason = error.strerror if isinstance(error, OSError) else "it is no file name"
        raise TrustError(f"the key {path!r} cannot be read: {reason}", hint="the trust policy names it") from None
    if len(data) > _MAX_KEYS:
        raise TrustError(f"the key {path} is longer than {_MAX_KEYS} bytes")
    return data

"""Root file systems whose ids are shown through a pod's own user namespace.

The machine's root mounts overlayfs over idmapped clones of the layers and of the writable directory: on the disk every file has the id
that it has in the image, so layers are shared, and `commit` and `diff` see nothing unusual. Overlayfs works as who mounted it, and the
machine's root is no id of the clones: so it is mounted by a thread that makes files as the pod's root does. An ordinary user may not clone
mounts so; there fuse-overlayfs translates.
"""

from __future__ import annotations

import os

from kubeplay.engine.host import faults, idmapped, syscalls
from kubeplay.engine.layers.snapshotter import Stack


def native(stack: Stack) -> None:
    """Mount a Stack that has `users` by the kernel's overlayfs. Raises OSError.

    The clones lie in a mount of their own beside the target, so that one call takes all of them away, whenever we were killed
    (`place`): a layer must never be found below a directory that is removed.
    """
    from kubeplay.engine.layers import overlay

    assert stack.users is not None
    base = place(stack.target)
    overlay.unmount(base)
    os.makedirs(base, mode=0o700, exist_ok=True)
    syscalls.mount("kubeplay", base, "tmpfs", syscalls.MS_NOSUID | syscalls.MS_NODEV, "mode=0711,size=64k")
    try:
        lowers = tuple([_shown(stack, path, f"{base}/{number}") for number, path in enumerate(stack.lowers)])
        upper = work = ""
        if stack.upper:  # both of one mount, as overlayfs wants it
            own = _shown(stack, os.path.dirname(stack.upper), f"{base}/own")
            upper, work = f"{own}/{os.path.basename(stack.upper)}", f"{own}/{os.path.basename(stack.work)}"
        faults.point("mapped:shown")
        there = stack._replace(lowers=lowers, upper=upper, work=work)
        idmapped.acting_as(stack.users.root, lambda: overlay.native(there))
    finally:  # overlayfs has clones of its own
        overlay.unmount(base)
        os.rmdir(base)


def place(target: str) -> str:
    """Where the clones of what is mounted at `target` are while it is being mounted; no volume has such a name."""
    return f"{target}.mapped"


def _shown(stack: Stack, path: str, at: str) -> str:
    os.mkdir(at, 0o700)
    idmapped.clone(path, at, stack.userns)
    return at

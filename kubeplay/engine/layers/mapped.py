"""Root file systems whose ids are shown through a pod's own user namespace.

The machine's root mounts overlayfs over idmapped clones of the layers and of the writable directory: on the disk every file has the id
that it has in the image, so layers are shared, and `commit` and `diff` see nothing unusual. Overlayfs works as who mounted it, and the
machine's root is no id of the clones: so it is mounted by a thread that makes files as the pod's root does. An ordinary user may not clone
mounts so; there fuse-overlayfs translates.
"""

from __future__ import annotations

import os

from kubeplay.engine.host import idmapped, syscalls
from kubeplay.engine.layers.snapshotter import Stack


def native(stack: Stack) -> None:
    """Mount a Stack that has `users` by the kernel's overlayfs. Raises OSError."""
    from kubeplay.engine.layers import overlay

    assert stack.users is not None
    base, made = f"{os.path.dirname(stack.target)}/mapped", list[str]()

    def shown(path: str) -> str:
        place = f"{base}/{len(made)}"
        os.makedirs(place, mode=0o700, exist_ok=True)
        idmapped.clone(path, place, stack.userns)
        made.append(place)
        return place

    try:
        lowers = tuple([shown(path) for path in stack.lowers])
        upper = work = ""
        if stack.upper:  # both of one mount, as overlayfs wants it
            own = shown(os.path.dirname(stack.upper))
            upper, work = f"{own}/{os.path.basename(stack.upper)}", f"{own}/{os.path.basename(stack.work)}"
        there = stack._replace(lowers=lowers, upper=upper, work=work)
        idmapped.acting_as(stack.users.root, lambda: overlay.native(there))
    finally:
        for place in made:  # overlayfs has clones of its own
            syscalls.umount(place)
            os.rmdir(place)
        if os.path.isdir(base):
            os.rmdir(base)

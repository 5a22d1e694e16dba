"""Which image of an index is for a platform (pure, but for asking what this machine is)."""

from __future__ import annotations

import os

from kubeplay.engine.images.descriptor import Descriptor, Index, Platform
from kubeplay.errors import InvalidInput, NotFound

_MACHINES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "armv6l": "arm", "i686": "386"}  # others are called alike
_VARIANTS = {"armv7l": "v7", "armv6l": "v6"}
_ALIASES = {"x86_64": "amd64", "x86-64": "amd64", "aarch64": "arm64", "armhf": "arm", "armel": "arm", "i386": "386"}
_RUNS = {"arm": ("v8", "v7", "v6", "v5"), "arm64": ("v9", "v8")}  # newest first; each runs those after it (Go's GOARM, OCI image-index.md)


def architecture() -> str:
    """This machine in GOARCH's words."""
    return _MACHINES.get(os.uname().machine, os.uname().machine)


def machine() -> Platform:
    """What this machine runs."""
    return Platform("linux", architecture(), _VARIANTS.get(os.uname().machine, ""))


def wanted(platform: str = "", os_name: str = "", arch: str = "", variant: str = "") -> Platform:
    """The platform of --platform, or of --os, --arch and --variant; what is not said is this machine's. Raises InvalidInput."""
    if platform and (os_name or arch):
        raise InvalidInput("--platform option can not be specified with --arch or --os")
    here = machine()
    if platform:
        parts = platform.split("/")
        if len(parts) > 3 or not all(parts):
            raise InvalidInput(f"--platform {platform[:100]!r}: expected OS/ARCH[/VARIANT]", hint="as in linux/arm64")
        os_name, arch, variant = (*parts, "", "")[:3] if len(parts) < 3 else parts
    found = Platform(os_name or here.os, _ALIASES.get(arch, arch) or here.architecture, variant)
    return here if found == here._replace(variant="") else found


def choose(index: Index, platform: Platform, where: str = "") -> Descriptor:
    """The member for `platform`, else one that names none. Raises NotFound listing what there is."""
    real = [item for item in index.manifests if not is_attestation(item)]
    fitting = sorted(((rank, at) for at, item in enumerate(real) if (rank := _rank(item.platform, platform)) is not None))
    if fitting:
        return real[fitting[0][1]]
    unsaid = [item for item in real if item.platform is None or not item.platform.architecture]
    if unsaid:
        return unsaid[0]
    there = sorted({str(item.platform) for item in real})
    message = f"no image for {platform} in {where or index.digest}"
    raise NotFound(message, hint=f"there are: {', '.join(there[:30])}" if there else "it lists no images at all")


def is_attestation(item: Descriptor) -> bool:
    """buildkit's proofs of origin: members of an index that are no images."""
    return any(key == "vnd.docker.reference.type" for key, _ in item.annotations)


def _rank(have: Platform | None, want: Platform) -> int | None:
    """How well a member fits, 0 best; None when it does not."""
    if have is None or (have.os, have.architecture) != (want.os, want.architecture):
        return None
    if have.variant == want.variant:
        return 0
    known = _RUNS.get(want.architecture, ())
    if not want.variant:  # arm64 is v8 where nothing is said
        return 1 if not have.variant or have.variant == "v8" else 2 + len(known) - _place(have.variant, known)
    if not have.variant:
        return 90
    if want.variant in known and have.variant in known and known.index(have.variant) > known.index(want.variant):
        return 1 + known.index(have.variant)
    return None


def _place(variant: str, known: tuple[str, ...]) -> int:
    return known.index(variant) if variant in known else -1

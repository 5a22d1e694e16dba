"""Asking a hostile registry: what the tests of the registry client share."""

from __future__ import annotations

from kubeplay.engine.images import descriptor, reference
from kubeplay.engine.images.descriptor import Descriptor
from kubeplay.engine.images.registry.access import Access
from kubeplay.engine.images.registry.conf import Registries
from kubeplay.engine.images.registry.source import RegistrySource
from tests.support.hostile_registry import Hostile, Image

NONE = Registries()
LAYER = bytes(range(256)) * 4096  # 1 MiB
PLAIN = Access(tls_verify=False, retry=3, retry_delay=0.001)
ONCE = PLAIN._replace(retry=0)



def source(bad: Hostile, access: Access = PLAIN, name: str = "team/app:1") -> RegistrySource:
    return RegistrySource(reference.parse(f"{bad.address}/{name}"), access, NONE)


def layer(image: Image, size: int = len(LAYER)) -> Descriptor:
    return Descriptor(f"{descriptor.OCI_LAYER}", image.layers[0], size)


def everything(there: RegistrySource, what: Descriptor, offset: int = 0) -> bytes:
    reader = there.blob(what, offset)
    try:
        return b"".join(iter(lambda: reader.read(100_000), b""))
    finally:
        reader.close()

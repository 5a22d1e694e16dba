"""Texts to checked manifests for a library's apply, by what the store and the machine know: the sync's and the rollback's way in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kubeplay.play.compile import CompileOptions
from kubeplay.play.sources import Source

if TYPE_CHECKING:
    from kubeplay.engine.engine import Engine
    from kubeplay.kube.check import Manifest


def checked(engine: Engine, texts: Sequence[Source], namespace: str = "default", mode: str = "strict") -> list[Manifest]:
    """The manifests of (name, content) pairs. Raises InvalidInput with every fault of all of them."""
    from kubeplay.engine.net.services import RANGE_POOL
    from kubeplay.play.known import facts, known
    from kubeplay.play.read import check_all

    held = next((lease.value for lease in engine.store.leases.held(RANGE_POOL)), "")
    if any(b"clusterIP" in data for _, data in texts):
        held = str(engine.net.expected_service_range())
    return check_all(texts, mode, namespace, (), known(facts(engine.store, held)))


def options(engine: Engine) -> CompileOptions:
    """How pods of this machine are compiled, without any flag."""
    from kubeplay.play import policies

    return CompileOptions(
        policies=policies.stored(engine.store), seccomp_default=engine.settings.seccomp_default, node_name=engine.node_name
    )  # fmt: skip

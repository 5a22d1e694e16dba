"""What a command's body gets: the settings, and the library opened when it is first used."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from kubeplay.config import Settings, settings

if TYPE_CHECKING:
    from kubeplay.engine.engine import Engine
    from kubeplay.engine.store.db import Store

DEFAULT_NAMESPACE = "default"


class App:
    """One invocation. `namespace` is -n's, or "default"; `namespace_given` whether -n was given."""

    def __init__(self, options: dict[str, Any]) -> None:
        self.settings: Settings = settings(**{k: v for k, v in options.items() if k != "namespace"})
        self.namespace: str = options.get("namespace") or DEFAULT_NAMESPACE
        self.namespace_given = bool(options.get("namespace"))
        self._engine: Engine | None = None

    @property
    def engine(self) -> Engine:
        """The engine with its root and runroot prepared."""
        if self._engine is None:
            from kubeplay.engine.engine import Engine

            self._engine = Engine.open(self.settings)
            self._mend(self._engine)
        return self._engine

    def _mend(self, engine: Engine) -> None:
        """A command that has nothing to do with the network must not fail for it."""
        from kubeplay.errors import KubeplayError

        try:
            engine.mend()
        except (KubeplayError, OSError) as error:
            import sys

            print(f"Warning: the network of pods was interrupted and cannot be restored: {error}", file=sys.stderr)

    @property
    def store(self) -> Store:
        return self.engine.store

    @property
    def has_store(self) -> bool:
        """Whether there is anything to read: a check must not make a root."""
        import os

        return self._engine is not None or os.path.exists(f"{self.settings.root}/state.db")

    @contextmanager
    def supervised(self) -> Iterator[None]:
        """Around whatever starts or ends containers: from the first moment on, somebody looks after what is due."""
        from kubeplay.supervisor import ensure, install

        install(self.engine)
        try:
            yield
        finally:
            ensure(self.engine)

    def scope(self, all_namespaces: bool) -> str:
        """The namespace a listing covers; "" = every one."""
        return "" if all_namespaces else self.namespace

    def close(self) -> None:
        if self._engine is not None:
            self._engine.store.close()

    def forget(self) -> None:
        """After a reset: the next use opens a new root."""
        self._engine = None

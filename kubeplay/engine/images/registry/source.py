"""An image in a registry, to read: the first of its mirrors and locations that has it serves all of it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from kubeplay.engine.images.descriptor import Descriptor
from kubeplay.engine.images.reference import Reference
from kubeplay.engine.images.registry import registries, repository
from kubeplay.engine.images.registry.access import Access
from kubeplay.engine.images.registry.conf import Registries
from kubeplay.engine.images.registry.repository import Repository
from kubeplay.engine.images.transports.base import Document, ImageSource, Reader, Signature
from kubeplay.errors import KubeplayError, NotFound, RegistryError

T = TypeVar("T")


class RegistrySource(ImageSource):
    """`reference` is the image's logical name (registries.resolve gives it); nothing is sent before the first question.

    Raises RegistryError when registries.conf blocks it, InvalidInput for broken configuration.
    """

    transport = "docker"

    def __init__(self, reference: Reference, access: Access, config: Registries | None = None) -> None:
        self.name = reference
        self.reference = self.scope = str(reference)
        self._access = access
        self._config = registries.load() if config is None else config
        self._endpoints = registries.endpoints(reference, self._config)
        self._chosen: tuple[Reference, Repository] | None = None
        self._lock = threading.Lock()

    def manifest(self, digest: str = "") -> Document:
        return self._ask(lambda place, there: there.manifest(digest or place.digest or place.tag))

    def digest(self) -> str:
        """The digest that the name has in the registry now, from its headers if it says so: to see whether there is a newer image."""
        return self.name.digest or self._ask(lambda place, there: there.digest(place.tag))

    def blob(self, blob: Descriptor, offset: int = 0) -> Reader:
        return self._ask(lambda _, there: there.blob(blob, offset))

    def tags(self, limit: int) -> list[str]:
        """The repository's tags. Raises NotFound, RegistryError."""
        return self._ask(lambda _, there: there.tags(limit))

    def signatures(self, digest: str) -> tuple[Signature, ...]:
        from kubeplay.engine.images.registry import attachments

        return attachments.signatures(self, digest)

    def repository(self) -> Repository:
        """The repository that serves the image. Raises as `manifest`."""
        if self._chosen is None:
            self.manifest()
        assert self._chosen is not None
        return self._chosen[1]

    def close(self) -> None:
        chosen, self._chosen = self._chosen, None
        if chosen is not None:
            chosen[1].close()

    def __enter__(self) -> RegistrySource:
        return self

    def _ask(self, question: Callable[[Reference, Repository], T]) -> T:
        if self._chosen is None:
            with self._lock:
                if self._chosen is None:
                    return self._first(question)
        assert self._chosen is not None
        return question(*self._chosen)

    def _first(self, question: Callable[[Reference, Repository], T]) -> T:
        """Ask every place until one answers; that one stays."""
        failures: list[KubeplayError] = []
        for place, insecure in self._endpoints:
            is_mirror = place.repository != self.name.repository and place != self._endpoints[-1].reference
            access = self._access._replace(creds="") if is_mirror else self._access  # --creds are for the registry that was named
            there = repository.connect(place, access, insecure, self._config)
            try:
                answer = question(place, there)
            except (NotFound, RegistryError) as error:
                there.close()
                failures.append(error)
                continue
            except BaseException:
                there.close()
                raise
            self._chosen = place, there
            return answer
        raise _all(failures)


def _all(failures: list[KubeplayError]) -> KubeplayError:
    """One error for what every place said; the last is the registry itself."""
    last = failures[-1]
    if len(failures) > 1:
        last.message = "; ".join(error.message for error in reversed(failures))
    return last

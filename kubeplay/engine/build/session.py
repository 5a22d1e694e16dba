"""What all stages of one build share: the context, other sources, the cache, and who runs and reports."""

from __future__ import annotations

import os
from collections.abc import Sequence
from hashlib import sha256
from typing import TYPE_CHECKING

from kubeplay.engine.build import places
from kubeplay.engine.build.contexts import Context
from kubeplay.engine.build.network import Network
from kubeplay.engine.build.runner import Runner
from kubeplay.engine.build.stages import Finished, chain, now
from kubeplay.errors import BuildError, NotFound

if TYPE_CHECKING:
    from kubeplay.engine.build.model import Mount, Origin
    from kubeplay.engine.build.request import Progress, Pull, Request
    from kubeplay.engine.build.workspace import Workspace
    from kubeplay.engine.store.images import ImageRow


class Session:
    """One build under way. `close()` lets go of its descriptors."""

    def __init__(
        self, workspace: Workspace, request: Request, context: Context, machine: str, progress: Progress, pull: Pull | None
    ) -> None:
        self.workspace = workspace
        self.request = request
        self.context = context
        self.machine = machine
        self.progress = progress
        self.rows = workspace.engine.store.builds
        self.layers = workspace.engine.images.layers
        self.finished: dict[int, Finished] = {}
        self.salt = "" if request.format == "oci" else f" {request.format}"
        self.runner = Runner(workspace, Network(workspace, request.network, request.names), request.limits, progress.output)
        self._pull = pull
        self._roots: dict[Origin, int] = {}
        self._rows: dict[str, ImageRow] = {}

    def close(self) -> None:
        for fd in self._roots.values():
            os.close(fd)
        self._roots.clear()

    def now(self) -> str:
        fixed = self.request.epoch if self.request.timestamp is None else self.request.timestamp
        return now(self.workspace.engine.clock.now(), fixed)

    def commit(self, upper: str) -> str:
        """Make a layer of an upper directory, which is gone afterwards; its diff id."""
        clamp = self.request.epoch if self.request.rewrite else None
        return self.layers.commit(upper, move=True, timestamp=self.request.timestamp, clamp=clamp).diff_id

    @property
    def times(self) -> str:
        """What of the request's times decides about layers."""
        if self.request.timestamp is not None:
            return f" @{self.request.timestamp}"
        return f" <{self.request.epoch}" if self.request.rewrite and self.request.epoch is not None else ""

    # where files come from
    def origin(self, origin: Origin) -> int:
        """A descriptor of the root that an Origin means; open until the build ends. Raises BuildError, NotFound."""
        if origin.kind == "context":
            return self.context.root
        if origin not in self._roots:
            self._roots[origin] = self._open(origin)
        return self._roots[origin]

    def _open(self, origin: Origin) -> int:
        if origin.kind == "named" and not (value := self.named(origin.value)).startswith(IMAGE_PREFIXES):
            return self._directory(value)
        return places.open_root(self.workspace.view(self._layers_of(origin)))

    def _layers_of(self, origin: Origin) -> tuple[str, ...]:
        if origin.kind == "stage":
            return self.finished[origin.stage].layers
        if origin.kind == "named":
            return self.image(_reference(self.named(origin.value))).layers
        return self.image(origin.value).layers

    def _directory(self, value: str) -> int:
        """A --build-context that is a directory, a repository or an archive."""
        from kubeplay.engine.build import contexts, fetch

        if fetch.is_git(value) or fetch.is_url(value):
            directory = contexts.fetched(self.workspace, value)
        else:
            directory = value
        try:
            return os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise NotFound(f"--build-context {value}: {error.strerror}") from error

    def named(self, name: str) -> str:
        """The value of a --build-context."""
        for key, value in self.request.build_contexts:
            if key.lower() == name.lower():
                return value
        raise BuildError(f"--build-context {name}: not given")

    def image(self, reference: str, platform: str = "") -> ImageRow:
        """An image that files or a base come from; pulled when the policy says so. Raises NotFound and what pulling raises."""
        wanted = platform or self.request.platform or self.machine
        key = f"{reference} {wanted}"
        if key not in self._rows:
            self._rows[key] = self._find(reference, wanted)
        return self._rows[key]

    def _find(self, reference: str, platform: str) -> ImageRow:
        images, policy = self.workspace.engine.images, self.request.pull
        row = None if policy in ("always", "newer") and self._pull is not None else images.resolve(reference)
        if row is not None and (policy == "never" or _fits(row, platform)):
            return row
        if policy == "never" or self._pull is None:
            raise NotFound(f"{reference}: image not known", hint="`kubeplay images` lists what is here")
        found = images.resolve(self._pull(reference, platform, policy))
        if found is None:
            raise NotFound(f"{reference}: image not known")
        return found

    # what stands for contents in cache keys
    def identity(self, origin: Origin) -> str:
        """A short way to say what an Origin holds, "" when only its content tells."""
        if origin.kind == "context" or (origin.kind == "named" and not self.named(origin.value).startswith(IMAGE_PREFIXES)):
            return ""
        return f"{origin.kind}:{chain(list(self._layers_of(origin)))}"

    def contents(self, mounts: Sequence[Mount], warm: bool) -> tuple[str, ...]:
        """For each bind mount of a RUN what stands for its content."""
        return tuple(self.identity(one.origin) or self._content(one) for one in mounts if one.type == "bind")

    def _content(self, one: Mount) -> str:
        from kubeplay.engine.build.sources import Tree
        from kubeplay.engine.build.transfer import Transfer

        root = self.origin(one.origin)
        transfer = Transfer(Tree(root, "the build context"))  # without ignore rules: the step sees all that is there
        try:
            fd = places.find(root, one.source)
            try:
                directory = os.path.isdir(f"/proc/self/fd/{fd}")
            finally:
                os.close(fd)
            if directory:
                transfer.content(one.source.strip("/"), -1)
            else:
                transfer.file(one.source, -1, "", "/")
        except OSError as error:
            raise BuildError(f"RUN --mount=type=bind,source={one.source}: {error.strerror}") from error
        finally:
            transfer.close()
        return sha256(transfer.digest().encode()).hexdigest()


IMAGE_PREFIXES = ("docker-image://", "container-image://", "docker://")


def _reference(value: str) -> str:
    return value.partition("://")[2]


def _fits(row: ImageRow, platform: str) -> bool:
    """Whether an image is for the platform; one that does not say so is taken for any."""
    import json

    document = json.loads(row.config)
    system, _, rest = platform.partition("/")
    machine = rest.partition("/")[0]
    return document.get("os", system) in ("", system) and document.get("architecture", machine) in ("", machine)

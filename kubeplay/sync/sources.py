"""What a person calls a source: a directory, a git repository or an artifact; and one door to all three."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Protocol

from kubeplay.errors import InvalidInput, KubeplayError, NotFound
from kubeplay.sync import folder
from kubeplay.sync.model import DIRECTORY, GIT, OCI, Built, Spec

if TYPE_CHECKING:
    from kubeplay.engine.images.registry.access import Access


class Origin(Protocol):
    """Where a repository's or an artifact's files come from."""

    def revision(self) -> str: ...
    def files(self, revision: str, directory: str) -> None: ...
    def watched(self) -> list[str]: ...


class Source(Protocol):
    """`look` asks for the newest revision; `build` gives its manifests; `places` are directories whose change is worth a look."""

    def look(self) -> str: ...
    def build(self, revision: str) -> Built: ...
    def places(self) -> list[tuple[str, bool]]: ...


def kind(text: str, wants_git: bool) -> str:
    """What `text` names. `wants_git`: a branch, tag or commit was asked for. Raises NotFound, InvalidInput."""
    from kubeplay.sync import artifact, git

    if artifact.is_artifact(text):
        return OCI
    if git.is_url(text) and (not text.startswith("http") or text.split("#")[0].endswith(".git") or wants_git or _names_no_file(text)):
        return GIT
    if "://" in text:
        hint = "a directory, a git repository (https, ssh, file or a path), or oci://REGISTRY/NAME:TAG"
        raise InvalidInput(f"{git.without_password(text)[:200]!r} is no source", hint=hint)
    if os.path.isfile(text):
        raise InvalidInput(
            f"{text}: a file is no source, its directory is", hint=f"`kubeplay kube apply --local -f {text}` applies it once"
        )
    if not os.path.isdir(text):
        raise NotFound(f"{text}: no such directory")
    return GIT if wants_git or git.is_repository(text) else DIRECTORY


def _names_no_file(url: str) -> bool:
    return not url.rstrip("/").endswith((".yaml", ".yml", ".json", ".tgz", ".tar.gz", ".zip"))


class Directory:
    """A directory of this machine. Its revision is the digest of what it says, so that a file saved without a change is no news."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self._built: Built | None = None
        self._places: list[tuple[str, bool]] | None = None

    def look(self) -> str:
        self._places = None
        found = folder.texts(self.spec.source, self.spec.path, self.spec.shown, self.spec.recursive)
        digest = hashlib.sha256()
        for name, data in found:
            digest.update(b"%d %d " % (len(name.encode()), len(data)) + name.encode() + data)
        self._built = Built(f"sha256:{digest.hexdigest()}", tuple(found))
        return self._built.revision

    def build(self, revision: str) -> Built:
        if self._built is None or self._built.revision != revision:
            self.look()
        assert self._built is not None
        return self._built

    def places(self) -> list[tuple[str, bool]]:
        if self._places is None:  # after each look: a kustomization may have other bases now
            self._places = folder.places(self.spec.source, self.spec.path, self.spec.recursive)
        return self._places


class Fetched:
    """A repository or an artifact: the files of one revision at a time lie in `directory`, which is ours."""

    def __init__(self, spec: Spec, origin: Origin, directory: str) -> None:
        self.spec, self.origin, self.directory = spec, origin, directory
        self._places: list[str] | None = None

    def look(self) -> str:
        return self.origin.revision()

    def build(self, revision: str) -> Built:
        from kubeplay.engine.layers import tree

        tree.remove(self.directory)
        os.makedirs(self.directory, mode=0o700)
        try:
            self.origin.files(revision, self.directory)
            found = folder.texts(self.directory, self.spec.path, self.spec.shown, self.spec.recursive, fetched=True)
        except KubeplayError as error:
            folder.renamed(error, os.path.realpath(self.directory), self.spec.shown)
            raise
        finally:
            tree.remove(self.directory)
        return Built(revision, tuple(found))

    def places(self) -> list[tuple[str, bool]]:
        if self._places is None:
            self._places = self.origin.watched()
        return [(path, False) for path in self._places]


def opened(spec: Spec, state: str, access: Access | None = None) -> Source:
    """The source of a sync whose own directory is `state`. Raises InvalidInput."""
    if spec.kind == DIRECTORY:
        return Directory(spec)
    if spec.kind == GIT:
        from kubeplay.sync.git import Git

        return Fetched(spec, Git(spec, f"{state}/repository"), f"{state}/tree")
    from kubeplay.engine.images.registry.access import Access as Plain
    from kubeplay.sync.artifact import Artifact

    return Fetched(spec, Artifact(spec, access or Plain()), f"{state}/tree")

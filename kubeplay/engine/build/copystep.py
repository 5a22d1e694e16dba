"""COPY and ADD: what the sources come to (Items), their digests, and putting them into a root file system."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from hashlib import sha256
from typing import TYPE_CHECKING

from kubeplay.engine.build import archives, fetch, modes, places
from kubeplay.engine.build.model import Copy, Origin, Source
from kubeplay.engine.build.sources import Tree
from kubeplay.engine.build.transfer import Result, Target, Transfer
from kubeplay.engine.layers.lacking import Lacking, sentence
from kubeplay.engine.oci import user
from kubeplay.errors import BuildError, ContainerError
from kubeplay.plan.security import Security
from kubeplay.record import Record

if TYPE_CHECKING:
    from kubeplay.engine.build.ignore import Matcher
    from kubeplay.engine.build.workspace import Workspace

_CHUNK = 1 << 20


class Item(Record):
    """One thing to copy: `kind` is file, dir (its content) or archive (unpacked). `under` is the path that --parents keeps."""

    tree: Tree
    path: str
    kind: str
    name: str = ""
    under: str = ""


class Step:
    """One COPY or ADD. `items` are found once and read twice at most: for the key, and for the layer. `keys`: git may use ours."""

    def __init__(
        self, workspace: Workspace, action: Copy, origins: Callable[[Origin], int], ignore: Matcher | None, keys: bool = False
    ) -> None:
        self._workspace = workspace
        self._keys = keys
        self._action = action
        self._roots: list[int] = []
        self._ignore = ignore if action.origin.kind == "context" else None
        self._origins = origins
        self._exclude = self._excluded()
        self._groups: list[list[Item]] | None = None
        self._lacking: list[Lacking] = []

    def close(self) -> None:
        for fd in self._roots:
            os.close(fd)
        self._roots.clear()

    def groups(self) -> list[list[Item]]:
        """The items of each source, in order. Fetches what has to be fetched. Raises BuildError."""
        if self._groups is None:
            self._groups = [self._items(source) for source in self._action.sources]
        return self._groups

    def digests(self) -> tuple[str, ...]:
        """One digest for each source, without writing anything."""
        return tuple(self._passed(group, None, -1)[0] for group in self.groups())

    def summary(self, digests: tuple[str, ...]) -> str:
        """What the history says of the sources, as buildah has it."""
        kinds = {item.kind for group in self.groups() for item in group}
        count = sum(len(group) for group in self.groups())
        whole = digests[0] if len(digests) == 1 else sha256("".join(digests).encode()).hexdigest()
        return f"{'multi' if count > 1 else 'dir' if kinds == {'dir'} else 'file'}:{whole}"

    def lacks(self) -> str:
        """What of unpacked archives could not be made, "" when nothing."""
        return sentence(self._lacking)

    def write(self, rootfs: str, accounts: str = "") -> tuple[str, ...]:
        """Put everything into the root file system; the digests of what was written. `accounts`: where owners' names are looked up."""
        root = places.open_root(rootfs)
        try:
            return self._write(root, self._owner(accounts or rootfs))
        except IsADirectoryError as error:
            raise BuildError(f"{self._action.target}: a directory is in the way") from error
        finally:
            os.close(root)

    # sources
    def _items(self, source: Source) -> list[Item]:
        if source.kind == "inline":
            return [self._inline(source)]
        if source.kind == "url":
            return [self._url(source)]
        if source.kind == "git":
            return [self._git(source)]
        root = self._origins(self._action.origin)
        keep = self._action.origin.kind != "context"
        tree = Tree(root, self._label(), self._ignore, self._exclude, keep)
        return [self._found(tree, path, source.value) for path in tree.matches(source.value)]

    def _label(self) -> str:
        origin = self._action.origin
        return {"context": "the build context", "stage": f"stage {origin.value}", "image": f"image {origin.value}"}.get(
            origin.kind, f"context {origin.value}"
        )

    def _found(self, tree: Tree, path: str, pattern: str) -> Item:
        fd = places.find(tree.root, path)
        try:
            kind = os.fstat(fd).st_mode
            archive = False
            if stat.S_ISREG(kind) and self._action.add and self._action.unpack is not False:
                opened = os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_CLOEXEC)
                try:
                    archive = archives.looks_like_archive(opened)
                finally:
                    os.close(opened)
        finally:
            os.close(fd)
        under = self._under(path, pattern, stat.S_ISDIR(kind)) if self._action.parents else ""
        return Item(tree, path, "dir" if stat.S_ISDIR(kind) else "archive" if archive else "file", os.path.basename(path), under)

    def _under(self, path: str, pattern: str, directory: bool) -> str:
        """The directories that --parents keeps: those after a `/./` of the pattern."""
        head, pivot, _ = pattern.partition("/./")
        skip = len([part for part in head.split("/") if part not in ("", ".")]) if pivot else 0
        parts = path.split("/")[skip:]
        return "/".join(parts if directory else parts[:-1])

    def _tree_of(self, directory: str, label: str) -> Tree:
        fd = places.open_root(directory)
        self._roots.append(fd)
        return Tree(fd, label, None, self._exclude)

    def _inline(self, source: Source) -> Item:
        directory = self._workspace.files()
        with open(f"{directory}/{os.path.basename(source.value)}", "x", encoding="utf-8") as file:
            os.fchmod(file.fileno(), 0o644)
            file.write(source.content)
        return Item(self._tree_of(directory, "the Containerfile"), os.path.basename(source.value), "file", os.path.basename(source.value))

    def _url(self, source: Source) -> Item:
        directory = self._workspace.files()
        whole = self._action.target.endswith("/")
        name = "" if whole else os.path.basename(self._action.target)
        path = fetch.download(source.value, directory, self._action.checksum, name="" if whole else name or "download")
        archive = False
        if self._action.unpack:
            with open(path, "rb") as file:
                archive = archives.looks_like_archive(file.fileno())
        base = os.path.basename(path)
        return Item(self._tree_of(directory, source.value), base, "archive" if archive else "file", base)

    def _git(self, source: Source) -> Item:
        directory = self._workspace.files()
        commit = self._action.checksum.rpartition(":")[2]
        inner, _ = fetch.clone(source.value, directory, keep_git=self._action.keep_git_dir, commit=commit, as_user=self._keys)
        return Item(self._tree_of(directory, source.value), inner.strip("/"), "dir")

    def _excluded(self) -> Matcher | None:
        if not self._action.exclude:
            return None
        from kubeplay.engine.build.ignore import Matcher as Rules

        return Rules(self._action.exclude, "--exclude")

    # writing
    def _owner(self, accounts: str) -> tuple[int, int] | None:
        """None keeps the owners that files of stages and images have; what comes from elsewhere belongs to root."""
        text = self._action.chown
        if not text:
            return (0, 0) if self._action.origin.kind in ("context", "named") else None
        name, _, group = text.partition(":")
        if name.isdigit() and not group:
            text = f"{name}:{name}"  # as podman and docker have it
        return owner(text, accounts, "--chown=")

    def _write(self, root: int, owner: tuple[int, int] | None) -> tuple[str, ...]:
        target = Target(root, Result(owner, modes.change(self._action.chmod) if self._action.chmod else None))
        groups = self.groups()
        items = [item for group in groups for item in group]
        place, name = self._place(root, items, owner or (0, 0))
        try:
            return tuple(self._passed(group, target, place, name)[0] for group in groups)
        finally:
            os.close(place)

    def _place(self, root: int, items: list[Item], owner: tuple[int, int]) -> tuple[int, str]:
        """The directory to copy into, made when it is missing, and the name of a single file there ("" = its own)."""
        path = self._action.target
        several = len(items) > 1 or path.endswith("/") or self._action.parents
        if not several and items[0].kind == "file":
            try:
                return places.directory(root, path), ""
            except OSError:
                head, _, name = path.rpartition("/")
                return places.made(root, head or "/", owner)[0], name
        return places.made(root, path, owner)[0], ""

    def _passed(self, group: list[Item], target: Target | None, place: int, name: str = "") -> tuple[str, list[str]]:
        """Pass over the items of one source: hash them, and write them when there is a target."""
        found, kinds = sha256(), []
        for item in group:
            found.update(os.fsencode(f"{item.kind} {item.under}\0"))
            if item.kind == "archive":
                found.update(self._archive(item, target, place))
            else:
                found.update(self._copied(item, target, place, name))
            kinds.append(item.kind)
        return found.hexdigest(), kinds

    def _copied(self, item: Item, target: Target | None, place: int, name: str) -> bytes:
        out = place
        if target is not None and item.under:
            out = self._below(target, place, item.under)
        transfer = Transfer(item.tree, target)
        try:
            if item.kind == "dir":
                transfer.content(item.path, out)
            else:
                transfer.file(item.path, out, name or item.name, f"/{item.name}")
            return transfer.digest().encode()
        finally:
            transfer.close()
            if out != place:
                os.close(out)

    def _below(self, target: Target, place: int, under: str) -> int:
        at = os.dup(place)
        for part in under.split("/"):
            at, before = target.directory(at, part), at
            os.close(before)
        return at

    def _archive(self, item: Item, target: Target | None, place: int) -> bytes:
        found = places.find(item.tree.root, item.path)
        try:
            fd = os.open(f"/proc/self/fd/{found}", os.O_RDONLY | os.O_CLOEXEC)
        finally:
            os.close(found)
        try:
            digest = sha256()
            while data := os.read(fd, _CHUNK):
                digest.update(data)
            if target is not None:
                top, here = os.readlink(f"/proc/self/fd/{target.root}"), os.readlink(f"/proc/self/fd/{place}")
                owner = target.wanted.owner if self._action.chown else None
                under = here[len(top) :]
                self._lacking.append(archives.unpack(fd, target.root, under, digest=f"sha256:{digest.hexdigest()}", owner=owner))
            return digest.hexdigest().encode()
        finally:
            os.close(fd)


def owner(text: str, accounts: str, told: str) -> tuple[int, int]:
    """USER[:GROUP] by the accounts of a root file system. Raises BuildError, which begins with `told` and the text."""
    try:
        found = user.resolve(Security(), text, user.read_accounts(accounts))
    except ContainerError as error:
        raise BuildError(f"{told}{text}: {error.message}") from error
    return found.uid, found.gid

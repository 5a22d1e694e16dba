"""Where COPY and ADD read from: a directory held open, patterns matched below it, and the ignore rules of a context.

Nothing here follows a link out of that directory: named paths are looked up by openat2(2) with RESOLVE_IN_ROOT, as a container
would see them, and directories found on the way are listed through descriptors.
"""

from __future__ import annotations

import errno
import os
import re
from typing import TYPE_CHECKING

from kubeplay.engine.build import classes, places
from kubeplay.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Callable

    from kubeplay.engine.build.ignore import Matcher

_MAGIC = re.compile(r"[*?\[\\]")
_MAX_MATCHES = 100_000


class Tree:
    """A directory to take files from. `label` names it in errors; `ignore` are a context's ignore rules, `exclude` the step's own."""

    def __init__(
        self, root: int, label: str, ignore: Matcher | None = None, exclude: Matcher | None = None, keep_owner: bool = False
    ) -> None:
        self.root = root
        self.label = label
        self.keep_owner = keep_owner
        self._rules = tuple(rule for rule in (ignore, exclude) if rule is not None)

    def ignored(self, path: str) -> bool:
        return any(rule.ignored(path) for rule in self._rules) if path else False

    def prunes(self, path: str) -> bool:
        """Whether nothing at or below the directory can be wanted."""
        return any(rule.prunes(path) for rule in self._rules) if path else False

    def matches(self, pattern: str) -> list[str]:
        """Paths below the root that a source of COPY means, in byte order. Raises BuildError when there are none."""
        parts = [part for part in pattern.split("/") if part not in ("", ".")]
        found = self._expand(parts) if any(_MAGIC.search(part) for part in parts) else self._plain(parts)
        wanted = [path for path in found if not self._hidden(path)]
        if not wanted:
            why = "the ignore file hides it" if found else "no such file or directory"
            raise BuildError(f"{pattern or '/'}: {why} in {self.label}")
        return wanted

    def _hidden(self, path: str) -> bool:
        """Ignored, and not a directory of which something is wanted after all."""
        if not self.ignored(path):
            return False
        return self.prunes(path) or not self._is_directory(path)

    def _is_directory(self, path: str) -> bool:
        try:
            os.close(places.directory(self.root, path))
            return True
        except OSError:
            return False

    def _plain(self, parts: list[str]) -> list[str]:
        path = "/".join(parts)
        try:
            os.close(places.find(self.root, path))
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR):
                return []
            raise BuildError(f"{path}: {error.strerror} in {self.label}") from error
        return [path]

    def _expand(self, parts: list[str]) -> list[str]:
        found = [""]
        for part in parts:
            following: list[str] = []
            for base in found:
                following += self._step(base, part)
            found = following
            if len(found) > _MAX_MATCHES:
                raise BuildError(f"{'/'.join(parts)}: matches more than {_MAX_MATCHES} files in {self.label}")
        return sorted(dict.fromkeys(found), key=os.fsencode)

    def _step(self, base: str, part: str) -> list[str]:
        if part == "**":
            return [base, *self._below(base)]
        if not _MAGIC.search(part):
            return self._plain([*filter(None, base.split("/")), part])
        fits = matcher(part)
        return [f"{base}/{name}" if base else name for name in self._names(base) if fits(name)]

    def _below(self, base: str) -> list[str]:
        """Every directory under `base`, links not followed."""
        found: list[str] = []
        todo = [base]
        while todo:
            at = todo.pop()
            try:
                fd = places.directory(self.root, at)
            except OSError:
                continue
            try:
                with os.scandir(fd) as entries:
                    inner = [f"{at}/{e.name}" if at else e.name for e in entries if e.is_dir(follow_symlinks=False)]
            finally:
                os.close(fd)
            todo += inner
            found += inner
            if len(found) > _MAX_MATCHES:
                raise BuildError(f"**: more than {_MAX_MATCHES} directories in {self.label}")
        return found

    def _names(self, base: str) -> list[str]:
        try:
            fd = places.directory(self.root, base)
        except OSError:
            return []
        try:
            return sorted(os.listdir(fd))
        finally:
            os.close(fd)


def matcher(pattern: str) -> Callable[[str], bool]:
    """Go's path/filepath.Match for one component: `*`, `?`, `[a-z]`, `[^a]`, backslash. Raises BuildError for a bad pattern.

    Pieces between stars have a fixed length, so the first place that fits is as good as any later one: each is an atomic group, and no
    pattern makes a search that does not end.
    """
    pieces, at = [""], 0
    while at < len(pattern):
        letter = pattern[at]
        at += 1
        if letter == "*":
            pieces += [""] if pieces[-1] or len(pieces) == 1 else []
        elif letter == "?":
            pieces[-1] += "."
        elif letter == "[":
            try:
                text, negated, end = classes.read(pattern, at - 1)
            except ValueError as error:
                raise BuildError(f"{pattern}: syntax error in pattern: {error}") from None
            pieces[-1] += f"[{'^' if negated else ''}{text}]"
            at = end + 1
        elif letter == "\\":
            if at == len(pattern):
                raise BuildError(f"{pattern}: syntax error in pattern")
            pieces[-1] += re.escape(pattern[at])
            at += 1
        else:
            pieces[-1] += re.escape(letter)
    between = "".join(f"(?>.*?{piece})" for piece in pieces[1:-1])
    compiled = re.compile(pieces[0] + between + (f".*{pieces[-1]}" if len(pieces) > 1 else ""), re.DOTALL)
    return lambda name: compiled.fullmatch(name) is not None

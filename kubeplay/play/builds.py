"""`play kube --build`: images that have a directory of their name with a Containerfile or Dockerfile in it.

The directory lies beside the manifest (or in --context-dir) and is called like the image: for quay.io/team/web:1 `team/web`, else `web`,
else, when --build asks for it, a directory `web` somewhere below, to a depth of three: nobody wants whatever is called so to be built
unasked. Links are not followed: a manifest must not lead a build out of there.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from typing import TYPE_CHECKING

from kubeplay.errors import Ambiguous, InvalidInput, NotFound
from kubeplay.plan.stack import Stack
from kubeplay.play.progress import Progress, ProgressEvent
from kubeplay.reconcile import images

if TYPE_CHECKING:
    from kubeplay.engine.build.request import Request
    from kubeplay.engine.engine import Engine
    from kubeplay.reconcile.pulls import Flags

FILES = ("Containerfile", "Dockerfile")
DEPTH = 3  # ours: deep enough for REGISTRY/TEAM/IMAGE laid out as directories
_LONGEST = 65536  # bytes kept of a line that a step has not ended
MAX_ENTRIES = 10_000  # ours: a directory larger than that is no place that images are kept in


def bases(sources: Sequence[str], context_dir: str, here: str) -> tuple[str, ...]:
    """Where images' directories are looked for: `context_dir`, else beside every local file, else `here`. Raises NotFound."""
    if context_dir:
        if not os.path.isdir(context_dir):
            raise NotFound(f"{context_dir}: there is no such directory to build from")
        return (os.path.abspath(context_dir),)
    local = [source for source in sources if source != "-" and not source.startswith(("http://", "https://"))]
    places = [source if os.path.isdir(source) else os.path.dirname(source) for source in local]
    return tuple(dict.fromkeys(os.path.abspath(place or here) for place in (*places, here)))


def candidates(image: str) -> tuple[str, ...]:
    """The directory names of an image, the longest first: `team/web` and `web` for quay.io/team/web:1. Pure; empty for no name."""
    from kubeplay.engine.images import reference

    try:
        parsed = reference.parse(image)
    except InvalidInput:
        return ()
    path = parsed.path.removeprefix("library/") if reference.is_short(image) else parsed.path
    parts = path.split("/")
    return tuple("/".join(parts[at:]) for at in range(len(parts)))


def find(base: str, image: str, deep: bool) -> str | None:
    """The directory below `base` that `image` is built from; `deep` looks in subdirectories too.

    Raises Ambiguous when several fit equally well.
    """
    names = candidates(image)
    for name in names:
        if _buildable(base, name.split("/")):
            return os.path.join(base, name)
    found = _below(base, names[-1]) if names and deep else []
    if len(found) > 1:
        raise Ambiguous(f"{image} could be built from any of: {', '.join(found)}", hint="name the one with --context-dir")
    return found[0] if found else None


def _buildable(base: str, parts: Sequence[str]) -> bool:
    path = base
    for part in parts:
        path = os.path.join(path, part)
        if not _is(path, stat.S_ISDIR):
            return False
    return any(_is(os.path.join(path, name), stat.S_ISREG) for name in FILES)


def _is(path: str, what: object) -> bool:
    try:
        return bool(what(os.lstat(path).st_mode))  # type: ignore[operator]
    except OSError:
        return False


def _below(base: str, name: str) -> list[str]:
    """Directories `name` with a Containerfile, the shallowest only, at most DEPTH below `base`."""
    level, seen = [base], 0
    for _ in range(DEPTH):
        found: list[str] = []
        deeper: list[str] = []
        for directory in level:
            for entry in _directories(directory):
                seen += 1
                if seen > MAX_ENTRIES:
                    return []
                deeper.append(os.path.join(directory, entry))
                if entry == name and _buildable(directory, [entry]):
                    found.append(deeper[-1])
        if found:
            return found
        level = deeper
    return []


def _directories(path: str) -> list[str]:
    try:
        with os.scandir(path) as entries:
            return sorted(e.name for e in entries if e.is_dir(follow_symlinks=False) and not e.name.startswith("."))
    except OSError:
        return []


def named(stack: Stack) -> list[str]:
    """The images of the stack, each once."""
    return list(dict.fromkeys(want.image for plan in stack.pods for _, want in images.of_pod(plan)))


def run(engine: Engine, stack: Stack, places: Sequence[str], always: bool, quiet: bool, flags: Flags | None, progress: Progress) -> None:
    """Build the images of the stack that are not here or, with `always`, all that have a directory.

    Raises BuildError and what a pull raises.
    """
    wanted = named(stack) if always else images.missing(engine, stack.pods)
    found = {image: next((path for place in places if (path := find(place, image, always))), None) for image in wanted}
    built = [image for image, path in found.items() if path and _one(engine, image, path, quiet, flags, progress)]
    if always and wanted and not built:
        message = f"no image of the files has a directory with a {' or '.join(FILES)} below {', '.join(places)}"
        progress(ProgressEvent("warning", "--build", "", message=message))


def _one(engine: Engine, image: str, context: str, quiet: bool, flags: Flags | None, progress: Progress) -> str:
    """Build one image; its id."""
    from kubeplay.engine.build.request import Request
    from kubeplay.reconcile import pulls

    progress(ProgressEvent("image", "building", image, message=f"from {context}"))
    image_id = _build(engine, Request(context=context, tags=(image,)), quiet, flags, _Told(image, progress))
    pulls.of(engine).built(image)
    progress(ProgressEvent("image", "built", image, image_id.removeprefix("sha256:")[:12]))
    return image_id


def _build(engine: Engine, request: Request, quiet: bool, flags: Flags | None, told: _Told) -> str:
    from kubeplay.engine.build.run import build
    from kubeplay.engine.images import platforms
    from kubeplay.engine.images.copying import fetch
    from kubeplay.engine.images.copying.pull import PullOptions
    from kubeplay.reconcile import pulls

    known = flags or pulls.Flags()

    def pull(reference: str, platform: str, policy: str) -> str:
        told.line(f"Trying to pull {reference}...")
        options = PullOptions(platform=platforms.wanted(platform) if platform else None, signature_policy=known.signature_policy)
        return fetch.by_name(engine.images, reference, pulls.access(known), options, policy)

    return build(engine, request, None if quiet else told, pull)


class _Told:
    """A build's lines, as steps of the play."""

    def __init__(self, image: str, progress: Progress) -> None:
        self._image, self._progress = image, progress
        self._rest: dict[int, bytes] = {}

    def line(self, text: str) -> None:
        self._progress(ProgressEvent("build", "line", self._image, message=text))

    def output(self, stream: int, data: bytes) -> None:
        *lines, rest = (self._rest.get(stream, b"") + data).split(b"\n")
        self._rest[stream] = rest[-_LONGEST:]
        for one in lines:
            self.line(one.decode(errors="replace"))

    def warning(self, text: str) -> None:
        self._progress(ProgressEvent("warning", "build", self._image, message=text))

"""Images that only this machine has, to a registry, and manifests that name them there. `rewritten` and `target` are pure.

A manifest is changed where its image stands and nowhere else: comments, order and templates' forms stay as they were written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from kubeplay.engine.images import reference
from kubeplay.errors import InvalidInput, KubeplayError
from kubeplay.kube.document import Document, Path
from kubeplay.kube.portable.model import part
from kubeplay.record import Record

if TYPE_CHECKING:
    from kubeplay.engine.images.store import ImageStore

Object = dict[str, Any]
Source = tuple[str, bytes]


class Use(Record):
    """A place in a file that names an image, and the pull policy beside it."""

    source: str
    document: Document
    path: Path
    image: str
    never: bool = False


class Push(Record):
    """An image as manifests name it, its id, and its name in the registry."""

    image: str
    id: str
    target: str


def uses(documents: Sequence[Document]) -> Iterator[Use]:
    """Every image of every container, and of image volumes."""
    for document in documents:
        found = part(document.value)
        if found is None:
            continue
        for path, container in found.containers():
            if isinstance(container.get("image"), str) and container["image"]:
                never = container.get("imagePullPolicy") == "Never"
                yield Use(document.source, document, (*path, "image"), container["image"], never)
        volumes = found.spec.get("volumes")
        for number, volume in enumerate(volumes if isinstance(volumes, list) else []):
            image = volume.get("image") if isinstance(volume, dict) else None
            if isinstance(image, dict) and isinstance(image.get("reference"), str) and image["reference"]:
                path = (*found.at, "spec", "volumes", number, "image", "reference")
                yield Use(document.source, document, path, image["reference"], image.get("pullPolicy") == "Never")


def target(name: str, registry: str) -> str:
    """Where an image goes below `registry` (HOST[:PORT][/PATH]): its path without its own registry, and its tag. Raises InvalidInput."""
    own = reference.parse(name, "localhost" if reference.is_short(name) else reference.DEFAULT_DOMAIN)
    path = own.path.removeprefix("library/") if own.domain in (reference.DEFAULT_DOMAIN, "localhost") else own.path
    made = f"{registry.rstrip('/')}/{path}:{own.tag or 'latest'}"
    if reference.is_short(made):
        raise InvalidInput(f"--to {registry[:100]!r} names no registry", hint="as in registry.example:5000/team")
    return str(reference.parse(made))


def chosen(images: ImageStore, found: Sequence[Use], registry: str, everything: bool) -> tuple[list[Push], list[str]]:
    """What is to be pushed, and what is not and why. Raises InvalidInput when two images would have one name there."""
    from kubeplay.generate.published import facts

    only_here = facts(images, [use.document.value for use in found]).unpublished
    pushes, notes = list[Push](), list[str]()
    for name in dict.fromkeys(use.image for use in found):
        try:
            row = images.resolve(name)
            local = _is_local(name, images.names(row.id) if row else (), only_here)
        except KubeplayError as error:
            notes.append(f"{name}: {error.message}")
            continue
        if row is None:
            if local:
                raise InvalidInput(f"{name} is not here, and no registry has it", hint="build or load it first: kubeplay build -t NAME")
            notes.append(f"{name} is not here: it is left as it is")
        elif not (local or everything):
            notes.append(f"{name} came from a registry: it is left as it is (--all pushes it too)")
        else:
            pushes.append(Push(name, row.id, target(name, registry)))
    taken: dict[str, Push] = {}
    for push in pushes:
        other = taken.setdefault(push.target, push)
        if other.id != push.id:
            raise InvalidInput(f"{other.image} and {push.image} are two images, and both would be {push.target}",
                               hint="give one of them another name: kubeplay tag")  # fmt: skip
    return pushes, notes


def _is_local(name: str, names: Sequence[str], only_here: frozenset[str]) -> bool:
    """An image of localhost/, by its own name or by the one that a short name stands for here."""
    if name in only_here or name.startswith("localhost/"):
        return True
    return reference.is_short(name) and str(reference.parse(name, "localhost")) in names


def rewritten(texts: Sequence[Source], found: Sequence[Use], named: Mapping[str, str]) -> tuple[list[Source], list[str]]:
    """The texts with images by their names in `named`; what was done beside, and what could not be done in the text as it stands.

    Raises InvalidInput when a place cannot be changed: nothing is written then.
    """
    lines = {name: data.decode("utf-8", "replace").split("\n") for name, data in texts}
    notes = []
    for use in found:
        new = named.get(use.image)
        if new is None:
            continue
        number = use.document.positions.at(use.path)[0]
        line = lines[use.source][number - 1]
        changed = _replaced(line, use.image, new)
        if changed is None:
            raise InvalidInput(f"{use.source}:{number}: the image {use.image} cannot be replaced in this line: {line.strip()[:100]}",
                               hint="write it plainly: `image: NAME` on a line of its own")  # fmt: skip
        lines[use.source][number - 1] = changed
        if use.never:
            notes.append(f"{use.source}:{number}: imagePullPolicy: Never keeps nodes from pulling {new}: leave it out")
    return [(name, "\n".join(lines[name]).encode()) for name, _ in texts], notes


def _replaced(line: str, old: str, new: str) -> str | None:
    """The line with the image replaced, where it stands there once as a word of its own."""
    import re

    places = list(re.finditer(rf"(?<![\w./:@-]){re.escape(old)}(?![\w./:@-])", line))
    if not places:
        return None
    at = places[0]  # a comment may name it again
    return line[: at.start()] + new + _without_advice(line[at.end() :])


def _without_advice(rest: str) -> str:
    """The end of a line without what `generate` says there of an image that only this machine has."""
    before, mark, said = rest.partition("  # cluster: ")
    left = [part for part in said.split(". ") if "kubeplay kube push-images" not in part]
    return rest if not mark else before + (mark + ". ".join(left) if left else "")


def checked(before: Sequence[Document], after: Sequence[Document], found: Sequence[Use], named: Mapping[str, str]) -> bool:
    """Whether nothing but those images has changed."""
    if len(before) != len(after):
        return False
    wanted: dict[int, Object] = {}
    for use in found:
        if use.image in named:
            at = before.index(use.document)
            wanted[at] = _set(wanted.get(at, use.document.value), use.path, named[use.image])
    return all(wanted.get(at, one.value) == other.value for at, (one, other) in enumerate(zip(before, after)))


def _set(value: Any, path: Path, new: str) -> Any:
    if not path:
        return new
    step, *rest = path
    if isinstance(value, list):
        return [_set(item, tuple(rest), new) if at == step else item for at, item in enumerate(value)]
    return {**value, step: _set(value[step], tuple(rest), new)}

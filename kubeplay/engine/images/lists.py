"""Manifest lists made here: documents that name an image for each platform, edited, looked through and pushed.

A list's name stands among the images' names. Its members are images of this store or of elsewhere (a registry): the list knows
where each came from, so that pushing it can take them along. Which of the two forms it has, OCI's or docker's, follows from its members.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from kubeplay.engine.images import reference
from kubeplay.engine.images.descriptor import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, Descriptor, Index, Platform, read
from kubeplay.engine.store.images import ImageRow
from kubeplay.engine.store.lists import ListRow
from kubeplay.errors import AlreadyExists, Ambiguous, InvalidInput, NotFound
from kubeplay.record import Record

if TYPE_CHECKING:
    from kubeplay.engine.store.db import Store

STORED = "containers-storage:"  # a member's source: the image's id follows
_MAX_ENTRIES = 1000  # descriptor.py reads no more
Body = dict[str, Any]


class Entry(Record):
    """What a member is set to; "" and () leave it as it is. `annotations` and `features` are added to what there is."""

    os: str = ""
    arch: str = ""
    variant: str = ""
    os_version: str = ""
    features: tuple[str, ...] = ()
    os_features: tuple[str, ...] = ()
    annotations: tuple[tuple[str, str], ...] = ()


class Member(Record):
    """An image to put into a list: what its manifest is, and where it can be had (`docker://...` or `containers-storage:ID`)."""

    descriptor: Descriptor
    source: str


_NOTHING = Entry()


class Lists:
    """The manifest lists of one root. Every change is one transaction."""

    def __init__(self, store: Store) -> None:
        self._store = store

    # looking
    def find(self, name: str) -> ListRow | None:
        """The list of a name or of (the beginning of) an id. Raises Ambiguous, InvalidInput."""
        for full in _full(name):
            row = self._store.lists.named(full)
            if row is not None:
                return row
        prefix = name.removeprefix("sha256:")
        if len(prefix) < 3 or not set(prefix) <= set("0123456789abcdef"):
            return None
        found = [row for row in self._store.lists.all() if row.id.startswith(f"sha256:{prefix}")]
        if len(found) > 1:
            raise Ambiguous(f"{prefix} fits {len(found)} manifest lists", hint="give more digits, or a name")
        return found[0] if found else None

    def get(self, name: str) -> ListRow:
        """As find, but raises NotFound."""
        row = self.find(name)
        if row is None:
            raise NotFound(f"{name}: no such manifest list", hint="`kubeplay manifest create` makes one")
        return row

    # changing
    def create(self, name: str, *, amend: bool = False, annotations: Sequence[tuple[str, str]] = ()) -> ListRow:
        """Make an empty list under a name; with `amend` the one that has it is taken. Raises AlreadyExists, InvalidInput."""
        full = _taggable(name)
        with self._store.write():
            row = self._store.lists.named(full)
            if row is None or not amend:
                if row is not None or self._store.images.named(full) is not None:
                    raise AlreadyExists(f"the name {full} is taken", hint="use --amend to change a list that is there")
                row = ListRow(f"sha256:{os.urandom(32).hex()}", json.dumps({"manifests": []}), (), self._store.clock.now())
                self._store.images.tag(full, row.id)
            body = json.loads(row.body)
            if annotations:
                body["annotations"] = {**body.get("annotations", {}), **dict(annotations)}
            row = row._replace(body=json.dumps(body))
            self._store.lists.put(row)
            return row

    def add(self, name: str, members: Sequence[Member], entry: Entry = _NOTHING) -> ListRow:
        """Put images into a list; one whose manifest is there already is replaced."""

        def change(body: Body, sources: dict[str, str]) -> None:
            for member in members:
                item = described(member.descriptor)
                _set(item, entry)
                body["manifests"] = [one for one in body["manifests"] if one["digest"] != item["digest"]] + [item]
                sources[item["digest"]] = member.source
            if len(body["manifests"]) > _MAX_ENTRIES:
                raise InvalidInput(f"{name} would have more than {_MAX_ENTRIES} members")

        return self._change(name, change)

    def annotate(self, name: str, digest: str, entry: Entry) -> ListRow:
        """Change what a list says of a member, or with `digest` "" of itself (annotations only). Raises NotFound."""

        def change(body: Body, sources: dict[str, str]) -> None:
            if digest:
                _set(_item(name, body, digest), entry)
            else:
                body["annotations"] = {**body.get("annotations", {}), **dict(entry.annotations)}

        return self._change(name, change)

    def take(self, name: str, digest: str) -> ListRow:
        """Take a member out. Raises NotFound."""

        def change(body: Body, sources: dict[str, str]) -> None:
            body["manifests"].remove(_item(name, body, digest))
            sources.pop(digest, None)

        return self._change(name, change)

    def delete(self, row: ListRow) -> tuple[str, ...]:
        """Remove a list; returns the names it had. Its members stay."""
        with self._store.write():
            names = tuple(name for name, _ in self._store.images.names(row.id))
            self._store.lists.delete(row.id)
            return names

    def _change(self, name: str, change: Callable[[Body, dict[str, str]], None]) -> ListRow:
        with self._store.write():
            row = self.get(name)
            body, sources = json.loads(row.body), dict(row.sources)
            change(body, sources)
            row = row._replace(body=json.dumps(body), sources=tuple(sorted(sources.items())))
            self._store.lists.put(row)
            return row


def document(row: ListRow, form: str = "") -> bytes:
    """The index as it is pushed and shown. `form` oci or v2s2; "" = docker's when all members are docker's and nothing needs OCI's."""
    body = json.loads(row.body)
    items = body["manifests"]
    plain = all(item["mediaType"] == DOCKER_MANIFEST and not item.get("annotations") for item in items) and not body.get("annotations")
    docker = form == "v2s2" or (not form and plain and bool(items))
    kept = ("mediaType", "size", "digest", "platform", *(() if docker else ("annotations", "artifactType")))
    value: Body = {
        "schemaVersion": 2,
        "mediaType": DOCKER_LIST if docker else OCI_INDEX,
        "manifests": [_kept(item, kept, docker) for item in items],
    }
    if body.get("annotations") and not docker:
        value["annotations"] = body["annotations"]
    return json.dumps(value, separators=(",", ":")).encode()


def chosen(store: Store, row: ListRow) -> ImageRow | None:
    """The stored image that a list names for this machine; None when it has none, or it was never pulled."""
    from kubeplay.engine.images import platforms

    index = read(document(row, "oci"))
    assert isinstance(index, Index)
    try:
        digest = platforms.choose(index, platforms.machine()).digest
    except NotFound:
        return None
    source = dict(row.sources).get(digest, "")
    ids = [source.removeprefix(STORED)] if source.startswith(STORED) else store.images.documented(digest)
    return next((found for image_id in ids if (found := store.images.get(image_id)) is not None), None)


def described(descriptor: Descriptor) -> Body:
    """A descriptor as JSON."""
    item: Body = {"mediaType": descriptor.media_type, "digest": descriptor.digest, "size": descriptor.size}
    if descriptor.platform:
        item["platform"] = _plain_platform(descriptor.platform)
    if descriptor.annotations:
        item["annotations"] = dict(descriptor.annotations)
    if descriptor.artifact_type:
        item["artifactType"] = descriptor.artifact_type
    return item


def _plain_platform(platform: Platform) -> Body:
    keys = {"architecture": platform.architecture, "os": platform.os, "variant": platform.variant, "os.version": platform.os_version}
    return {key: text for key, text in keys.items() if text}


def _kept(item: Body, keys: Sequence[str], docker: bool) -> Body:
    return {key: _platform(item[key], docker) if key == "platform" else item[key] for key in keys if item.get(key)}


def _platform(platform: Body, docker: bool) -> Body:
    return {key: value for key, value in platform.items() if docker or key != "features"}  # OCI keeps the word `features` for later


def _set(item: Body, entry: Entry) -> None:
    platform = item.setdefault("platform", {})
    texts = {"os": entry.os, "architecture": entry.arch, "variant": entry.variant, "os.version": entry.os_version}
    platform.update({key: text for key, text in texts.items() if text})
    for key, words in (("features", entry.features), ("os.features", entry.os_features)):
        if words:
            platform[key] = sorted({*platform.get(key, []), *words})
    if entry.annotations:
        item["annotations"] = {**item.get("annotations", {}), **dict(entry.annotations)}


def _item(name: str, body: Body, digest: str) -> Body:
    for item in body["manifests"]:
        if item["digest"] == digest:
            found: Body = item
            return found
    raise NotFound(f"{name} has no member {digest}", hint="`kubeplay manifest inspect` lists them")


def _full(name: str) -> list[str]:
    try:
        return list(dict.fromkeys(str(reference.parse(name, domain)) for domain in ("localhost", reference.DEFAULT_DOMAIN)))
    except InvalidInput:
        return []


def _taggable(name: str) -> str:
    parsed = reference.parse(name, "localhost" if reference.is_short(name) else reference.DEFAULT_DOMAIN)
    if parsed.digest:
        raise InvalidInput(f"{name}: a name with a digest cannot be given to a manifest list")
    return str(parsed)

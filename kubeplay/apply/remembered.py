"""Plans of large stacks: documents that were found as they are stored before, byte for byte, and are so still, need not be read again.

Whether a document would change nothing follows from its text, the stored object, what was last applied and the flags. All of that is in
the digests kept here, beside the plans that a play keeps (play/cache.py); losing them loses nothing. What has a say about others (a
Namespace, an autoscaler ...), a Pod, which runs beside being stored, and a Secret, which must not stay on the disk, is always read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING

from kubeplay.apply.model import LEAVE, Change, Planned, PlanOptions
from kubeplay.errors import InvalidInput
from kubeplay.plan.stack import ObjectKey
from kubeplay.play import cache
from kubeplay.play.sources import Source
from kubeplay.record import Record

if TYPE_CHECKING:
    from kubeplay.engine.engine import Engine
    from kubeplay.kube.check import Manifest

Read = Callable[[Sequence[Source]], "list[Manifest]"]
FEWEST = 50  # documents; fewer are read as fast as looked up
_SEPARATOR = re.compile(rb"^---[ \t]*\r?\n", re.MULTILINE)
_ALWAYS_READ = frozenset(("Namespace", "PriorityClass", "ServiceAccount", "LimitRange", "ResourceQuota", "HorizontalPodAutoscaler",
                          "Pod", "Secret"))  # fmt: skip


class Entry(Record):
    """A document that changes nothing: its object, and the digest of what is stored of that."""

    key: ObjectKey
    api_version: str
    state: str


class Document(Record):
    """A part of a file between two separators; `source` is the file's number."""

    source: int
    text: bytes
    digest: str


class Memory(Record):
    """Where the entries are kept: a directory and a name in it, which stands for the flags and whatever else a plan depends on."""

    directory: str
    name: str

    def load(self) -> dict[str, Entry]:
        """Entries by the digest of their document; nothing where they cannot be read."""
        try:
            rows = [line.split("\t") for line in cache.get(self.directory, self.name) or ()]
            return {row[0]: Entry(ObjectKey(row[1], row[2], row[3]), row[4], row[5]) for row in rows}
        except (AttributeError, IndexError, TypeError):  # a cache: whatever is wrong with it, the files are still there
            return {}

    def save(self, entries: dict[str, Entry]) -> None:
        lines = ["\t".join((digest, *one.key, one.api_version, one.state)) for digest, one in entries.items()]
        cache.put(self.directory, self.name, lines)


def documents(texts: Sequence[Source]) -> list[Document] | None:
    """The files cut at their separators; None where that is not as plain as it looks."""
    found = []
    for number, (_, data) in enumerate(texts):
        if data.lstrip()[:1] in (b"{", b"") or data.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
            return None
        for text in _SEPARATOR.split(data):
            if any((line := part.strip()) and not line.startswith(b"#") for part in text.splitlines()):
                found.append(Document(number, text, sha256(text).hexdigest()))
    return found


def plan(engine: Engine, texts: Sequence[Source], read: Read, options: PlanOptions, memory: Memory) -> Planned | None:
    """As planning.plan of all that `read` makes of the texts, with no more of them read than has to be.

    None where everything has to be: few documents, faults or warnings (whose lines are those of the whole files), or two documents of one
    object. `stack` and `manifests` of the plan hold only what was read.
    """
    parts = documents(texts)
    if parts is None or len(parts) < FEWEST:
        return None
    entries, states = memory.load(), _states(engine)
    known = {one.digest: entry for one in parts if (entry := entries.get(one.digest)) and states.get(entry.key) == entry.state}
    rest = [one for one in parts if one.digest not in known]
    if len({entry.key for entry in known.values()}) + len(rest) < len(parts):
        return None
    try:
        manifests = read(_joined(texts, rest))
    except InvalidInput:
        return None
    if any(one.warnings for one in manifests):
        return None
    return _planned(engine, manifests, rest, known, states, options, memory)


def _planned(
    engine: Engine, manifests: list[Manifest], rest: list[Document], known: dict[str, Entry], states: dict[ObjectKey, str],
    options: PlanOptions, memory: Memory,
) -> Planned | None:  # fmt: skip
    from kubeplay.apply import planning
    from kubeplay.play.kinds import base
    from kubeplay.play.stack import ORDER

    made = planning.plan(engine, manifests, options)
    keys = {entry.key for entry in known.values()}
    if any(change.key in keys for change in made.changes):
        return None
    left = {change.key: change for change in made.changes if change.action == LEAVE and not change.why}
    fresh = dict[str, Entry]()
    for document, manifest in zip(rest, manifests) if len(rest) == len(manifests) else ():
        key = base.key(manifest.object) if manifest.object["metadata"].get("name") else None
        if key in left and key.kind not in _ALWAYS_READ and key in states:
            fresh[document.digest] = Entry(key, left[key].api_version, states[key])
    if fresh or not known:
        memory.save({**known, **fresh})
    rank = {kind: number for number, kind in enumerate(ORDER)}
    same = [Change(entry.key, entry.api_version, LEAVE, "", "") for entry in known.values()]
    return made._replace(changes=tuple(sorted([*same, *made.changes], key=lambda one: rank.get(one.key.kind, len(rank)))))


def keep(engine: Engine, texts: Sequence[Source], manifests: Sequence[Manifest], memory: Memory) -> None:
    """Remember what a play has just stored as the files have it."""
    from kubeplay.apply.merging import bare
    from kubeplay.engine.store.applied import Applied
    from kubeplay.play.kinds import base

    parts = documents(texts)
    if parts is None or len(parts) != len(manifests) or any(one.warnings for one in manifests):
        return
    stored = {key: (bare(body), given) for key, body, given in Applied(engine.store).states()}
    found = {}
    for document, manifest in zip(parts, manifests):
        key = base.key(manifest.object) if manifest.object["metadata"].get("name") else None
        if key in stored and key.kind not in _ALWAYS_READ and stored[key][0] == base.body(base.cleaned(manifest.object)):
            found[document.digest] = Entry(key, manifest.kind.api_version, _state(*stored[key]))
    memory.save(found)


def _joined(texts: Sequence[Source], rest: Sequence[Document]) -> list[Source]:
    """The files with the remaining documents only."""
    found: dict[int, list[bytes]] = {}
    for one in rest:
        found.setdefault(one.source, []).append(one.text if one.text.endswith(b"\n") else one.text + b"\n")
    return [(texts[number][0], b"---\n".join(parts)) for number, parts in found.items()]


def _states(engine: Engine) -> dict[ObjectKey, str]:
    """A digest of every stored object and of what was last applied of it."""
    from kubeplay.apply.merging import bare
    from kubeplay.engine.store.applied import Applied

    return {key: _state(bare(body), given) for key, body, given in Applied(engine.store).states()}


def _state(body: str, given: str) -> str:
    return sha256(f"{body}\0{given}".encode("utf-8", "surrogatepass")).hexdigest()

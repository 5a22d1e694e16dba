"""The files' objects merged with the stored ones, as `kubectl apply` merges them: what an apply has to play.

Two owners are respected beyond kubectl's rules: an autoscaler's replicas are always left to it, and replicas that somebody has scaled
stay as long as the file's own number is the one that was applied before.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from kubeplay.errors import Fault, InvalidInput
from kubeplay.kube import ephemeral
from kubeplay.kube.check import Manifest
from kubeplay.kube.merge import empties, three_way
from kubeplay.plan.stack import ObjectKey
from kubeplay.play import autoscaled, change, given, update
from kubeplay.play.kinds import base
from kubeplay.play.rollout import SCALED
from kubeplay.record import Record

if TYPE_CHECKING:
    from kubeplay.engine.engine import Engine
    from kubeplay.engine.store.objects import StoredObject

Json = dict[str, Any]
_MARK = r'"deployment\.kubernetes\.io/[^"]*":"(?:[^"\\]|\\.)*"'
_MARKS = re.compile(rf",{_MARK}(?=[,}}])|{_MARK},?")
_NO_MARKS = re.compile(r'"annotations":\{\},?')
_MANY = 50  # objects; reading all of the store in one query is cheaper from there on


class Merged(Record):
    """The manifests with merged objects, in the files' order; `why`: what of a file was left aside, in sentences, by object."""

    manifests: tuple[Manifest, ...]
    why: Mapping[ObjectKey, tuple[str, ...]]


def merge(engine: Engine, manifests: Sequence[Manifest]) -> Merged:
    """Merge each manifest's object with what is stored of it and what was last applied.

    What cannot become so in place (VL6) stays as the file has it: it will be made anew. Raises InvalidInput where the outcome is no
    valid object.
    """
    from kubeplay.engine.store.applied import Applied

    applied, stored = Applied(engine.store), _stored(engine, manifests)
    sized = autoscaled.targets(engine, [one.object for one in manifests])
    made, why = [], dict[ObjectKey, tuple[str, ...]]()
    for manifest in manifests:
        key = base.key(manifest.object) if manifest.object["metadata"].get("name") else None
        found = stored.get(key) if key else None
        if key is None or found is None or bare(found.body) == base.body(base.cleaned(manifest.object)):
            made.append(manifest)
            continue
        one, told = _merged(manifest, found, applied.given(found.uid), key in sized)
        made.append(one)
        if told:
            why[key] = told
    return Merged(tuple(made), why)


def bare(body: str) -> str:
    """A canonical body without what a Deployment's controller writes on it (DE4): cheaper than reading it, of a thousand objects."""
    if change.CONTROLLERS_OWN not in body:
        return body
    return _NO_MARKS.sub("", _MARKS.sub("", body), count=1)


def _stored(engine: Engine, manifests: Sequence[Manifest]) -> dict[ObjectKey, StoredObject]:
    objects = engine.store.objects
    if len(manifests) > _MANY:
        return {one.key: one for one in objects.list()}
    wanted = [base.key(one.object) for one in manifests if one.object["metadata"].get("name")]
    return {key: found for key in wanted if (found := objects.find(key)) is not None}


def _merged(manifest: Manifest, stored: StoredObject, last_text: str, sized: bool) -> tuple[Manifest, tuple[str, ...]]:
    live: Json = json.loads(ephemeral.without(stored.body))
    if live.get("apiVersion") != manifest.object["apiVersion"]:  # two versions of one kind have other fields
        return manifest, ()
    last, file = last_applied(last_text, live), given.written(manifest)
    last, file, why = _replicas(manifest.kind.kind, last, file, live, sized)
    body = merged(manifest, last, file, live)
    if update.faults(manifest.kind.kind, base.body(live), base.body(body)):
        return manifest, ()
    return manifest._replace(object=body), why


def merged(manifest: Manifest, last: Json | None, file: Json, live: Json) -> Json:
    """One object merged, complete with defaults: pure. Raises InvalidInput where that is no valid object.

    Defaults of what a file said before may contradict what it says now (a StatefulSet's rollingUpdate, beside OnDelete): then it is merged
    with the object without its defaults. A server would refuse it.
    """
    from kubeplay.generate.prune import prune

    body = _complete(manifest, last, file, live, live)
    faults = _faults(manifest, body, live)
    if not faults:
        return body
    body = _complete(manifest, last, file, {**prune(live, manifest.kind), "metadata": live["metadata"]}, live)
    if not _faults(manifest, body, live):
        return body
    hint = "what others have set there does not go with what the file says: say those fields in the file too, or play with --replace"
    raise InvalidInput(f"{base.key(manifest.object)}: merged with what is stored it would not be valid", faults, hint=hint)


def _complete(manifest: Manifest, last: Json | None, file: Json, live: Json, stored: Json) -> Json:
    """Merged with `live` and with defaults; what the stored object says in another way is said as there."""
    from kubeplay.kube import defaults

    record = manifest.kind.schema
    return empties.aligned(defaults.apply(three_way.merge(last, file, live, record).body, manifest.kind), stored, record)


def _faults(manifest: Manifest, body: Json, live: Json) -> list[Fault]:
    """What is wrong with a merged object and neither with the stored one, which stands in nobody's way, nor with the file's.

    That one was found right by who knows this root's Service range.
    """
    from kubeplay.kube.validate import validate

    if base.body(body) == base.body(live):
        return []
    found = validate(body, manifest.kind)
    known = {(fault.path, fault.message) for one in ((live, manifest.object) if found else ()) for fault in validate(one, manifest.kind)}
    return [fault for fault in found if (fault.path, fault.message) not in known]


def last_applied(text: str, live: Json) -> Json | None:
    """What the file said when it was applied before: as we have kept it, else as kubectl's annotation has it. None = nobody knows."""
    text = text or ((live.get("metadata") or {}).get("annotations") or {}).get(given.LAST_APPLIED) or ""
    try:
        found = json.loads(text) if text else None
    except (ValueError, RecursionError):  # an annotation may hold anything
        return None
    if not isinstance(found, dict) or found.get("kind") != live.get("kind"):
        return None
    meta = found.get("metadata")
    return {**found, "metadata": meta if isinstance(meta, dict) else {}}


def _replicas(kind: str, last: Json | None, file: Json, live: Json, sized: bool) -> tuple[Json | None, Json, tuple[str, ...]]:
    """Last applied and file without a number of replicas that is not theirs to say, and a sentence about that."""
    if kind not in SCALED:
        return last, file, ()
    now, said, before = (_at(one) for one in (live, file, last))
    if sized:
        text = f"spec.replicas: {now} stays, an autoscaler sets it"
    elif said is not None and said == before != now and now is not None:
        text = f"spec.replicas: {now} stays, as it was scaled and the file's {said} is what it was"
    else:
        return last, file, ()
    return _without(last), _without(file) or {}, (text,) if said not in (None, now) else ()


def _at(obj: Json | None) -> Any:
    spec = (obj or {}).get("spec")
    return spec.get("replicas") if isinstance(spec, dict) else None


def _without(obj: Json | None) -> Json | None:
    if obj is None or not isinstance(obj.get("spec"), dict):
        return obj
    return {**obj, "spec": {name: value for name, value in obj["spec"].items() if name != "replicas"}}

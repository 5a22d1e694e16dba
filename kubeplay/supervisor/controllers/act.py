"""Carry out what a controller decided: each object in one transaction, pods with their plan and their row, as `play` stores them."""

from __future__ import annotations

import json
import math
import os
from typing import TYPE_CHECKING

from kubeplay.engine.store.objects import StoredObject
from kubeplay.engine.store.runtime import DELETE, RUN, PodRow
from kubeplay.errors import Conflict, Forbidden, KubeplayError, NotFound
from kubeplay.kube.status import TERMINAL
from kubeplay.plan import codec
from kubeplay.plan.pod import PodPlan
from kubeplay.plan.stack import ObjectKey
from kubeplay.play import policies
from kubeplay.play.compile import CompileOptions, compile_pod
from kubeplay.play.kinds import base, ephemeral, names, workload
from kubeplay.reconcile import system
from kubeplay.reconcile.observe import plan_of, remember
from kubeplay.supervisor.controllers.model import Action, Adopt, Create, Decision, Delete, Json, Note, Status, Thing, Update, World

if TYPE_CHECKING:
    from kubeplay.engine.engine import Engine

CLAIM = "PersistentVolumeClaim"
_SLOTS = 10  # names tried before a generated name is given up: 27^5 of them make one collision rare


class Actor:
    """Carries out the decisions about one object; `pods` are those to be looked at afterwards."""

    def __init__(self, engine: Engine, world: World) -> None:
        self.engine, self.world = engine, world
        self.pods: list[str] = []
        self.ending = False  # a pod is to end: traffic must leave it
        self.claims = False

    def carry_out(self, own: Thing, decision: Decision) -> str:
        """Why a Create of the decision failed ("" = none did); what comes after it is not done (RP2: slow start is of no use here)."""
        for action in decision.actions:
            try:
                self._do(own, action)
            except (Conflict, NotFound):
                continue  # somebody changed it meanwhile: the next look sees that
            except KubeplayError as error:
                if not isinstance(action, Create):
                    raise
                self._note(Note(own.key, "Warning", "FailedCreate", f"Error creating: {error.message}"), own.uid)
                return error.message
        if self.claims:
            from kubeplay.reconcile import claims

            claims.sync(self.engine)
        return ""

    def _do(self, own: Thing, action: Action) -> None:
        if isinstance(action, Create):
            self._create(action)
        elif isinstance(action, Delete):
            self._delete(action)
        elif isinstance(action, Update):
            seen = self.world.find(action.key)
            self.engine.store.objects.update(
                action.key, base.body(action.body), expect_version=seen.version if seen else None, spec=action.spec
            )
        elif isinstance(action, Adopt):
            self._adopt(action)
        elif isinstance(action, Status):
            self.engine.store.objects.set_status(action.key, _text(action.status))
        else:
            self._note(action, own.uid if action.key == own.key else "")

    def _note(self, note: Note, uid: str = "") -> None:
        seen = self.world.find(note.key)
        self.engine.store.events.add(note.key, uid or (seen.uid if seen else ""), note.reason, note.message, note.type)

    # making
    def _create(self, action: Create) -> None:
        owner = self.world.by_uid(action.owner) if action.owner else None
        body = _named(self.engine, _owned(action.body, owner))
        if body["kind"] == "Pod":
            self._pod(body, action.owner)
            if owner is not None and not action.body["metadata"].get("name"):  # who draws no name cannot tell of it
                self._note(Note(owner.key, "Normal", "SuccessfulCreate", f"Created pod: {body['metadata']['name']}"), owner.uid)
            return
        self.engine.store.objects.create(base.key(body), base.body(body), owner_uid=action.owner)
        self.claims = self.claims or body["kind"] == CLAIM

    def _pod(self, body: Json, owner: str) -> None:
        from kubeplay.kube import defaults, kinds

        kind = kinds.find("v1", "Pod")
        assert kind is not None
        options = self._options()
        obj = base.admitted(defaults.apply(body, kind), options)
        why = policies.refusal(self.engine.store, obj)
        if why:
            raise Forbidden(why)
        plan = compile_pod(obj, options, controlled=True)
        part, text = ephemeral.part(obj, options), codec.dumps(plan)
        store = self.engine.store
        self._prepare(plan)  # before it is stored: whoever is killed in between leaves no pod without names
        with store.write():
            stored = store.objects.create(base.key(obj), base.body(obj), owner_uid=owner)
            store.runtime.add_pod(PodRow(stored.uid, plan.namespace, plan.name, text, RUN, True, store.clock.now(), 0, False))
            for planned in part.objects:
                store.objects.create(planned.key, planned.body, owner_uid=stored.uid)
        remember(stored.uid, text, plan)
        self.claims = self.claims or bool(part.objects)
        self.pods.append(stored.uid)

    def _options(self) -> CompileOptions:
        """What is not a flag of one play: flags that are have been written into the objects."""
        given = self.engine.settings
        return CompileOptions(
            seccomp_default=given.seccomp_default, seccomp_profile_root=given.seccomp_profile_root, node_name=os.uname().nodename,
            policies=policies.stored(self.engine.store),
        )  # fmt: skip

    def _prepare(self, plan: PodPlan) -> None:
        if not plan.sandbox.host_network:
            self.engine.net.prepare()
        if system.needs_dns(plan):
            self.pods.append(system.ensure_dns(self.engine))

    def _adopt(self, action: Adopt) -> None:
        """RP1; an owner that is going, or has gone since it decided, takes nothing."""
        objects = self.engine.store.objects
        with self.engine.store.write():
            stored = objects.by_uid(action.uid)
            if stored is None or stored.key != action.key:
                return
            owner = self.world.by_uid(action.owner) if action.owner else None
            if owner is not None and ((now := objects.by_uid(owner.uid)) is None or now.deleted is not None):
                return
            body = json.loads(stored.body)
            body["metadata"].pop("ownerReferences", None)
            objects.set_owner(action.key, action.owner, base.body(_owned(body, owner)))

    # ending
    def _delete(self, action: Delete) -> None:
        stored = self.engine.store.objects.find(action.key)
        if stored is None or stored.uid != action.uid:
            return
        if action.key.kind == "Pod":
            self._end(stored, action.grace)
        elif action.key.kind == CLAIM:
            from kubeplay.reconcile import claims

            claims.let_go(self.engine, stored)
        elif action.foreground:
            self.engine.store.objects.mark_deleted(action.key, 0)
        else:
            if action.key.kind == "Service":
                from kubeplay.reconcile import services

                services.release(self.engine, action.key.namespace, action.key.name)
            self.engine.store.objects.delete(action.key)

    def _end(self, stored: StoredObject, grace: int | None) -> None:
        row = self.engine.store.runtime.find_pod(stored.key.namespace, stored.key.name)
        if row is None or row.uid != stored.uid:
            self.engine.store.objects.delete(stored.key)  # a play of it was cut short
            return
        ended = json.loads(stored.status or "{}").get("phase") in TERMINAL
        seconds = 0 if ended else math.ceil(plan_of(row).grace_seconds) if grace is None else grace
        with self.engine.store.write():
            self.engine.store.objects.mark_deleted(stored.key, seconds)
            self.engine.store.runtime.set_pod(stored.uid, desired=DELETE, wake_at=self.engine.clock.now())
        self.pods.append(stored.uid)
        self.ending = True


def _text(status: Json) -> str:
    return json.dumps(status, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _owned(body: Json, owner: Thing | None) -> Json:
    """The body with its controller reference (RP2)."""
    if owner is None:
        return body
    meta = {**body["metadata"], "ownerReferences": [workload.owner_reference(owner.body)]}
    return {**body, "metadata": meta}


def _named(engine: Engine, body: Json) -> Json:
    """The body with a name: generateName and five characters drawn at random (DE2)."""
    meta = body["metadata"]
    if meta.get("name"):
        return body
    base_, namespace = meta["generateName"][: names.MAX_BASE], meta.get("namespace") or ""
    for _ in range(_SLOTS):
        name = base_ + "".join(names.ALPHABET[byte % len(names.ALPHABET)] for byte in os.urandom(names.SUFFIX))
        if engine.store.objects.find(ObjectKey(body["kind"], namespace, name)) is None:
            break
    return {**body, "metadata": {**meta, "name": name}}

"""Job: the pods that its controller makes first, and the body of every pod of it (JO2)."""

from __future__ import annotations

from kubeplay.kube import jobs
from kubeplay.plan.pod import PodPlan
from kubeplay.plan.stack import ClaimPlan, PlannedObject
from kubeplay.play.compile import CompileOptions, compile_pod
from kubeplay.play.kinds import ephemeral, names, workload
from kubeplay.play.kinds.base import OWNER_UID, Object, Part, key, planned

AT_ONCE = 500  # pods that are made or removed in one go [K: job_controller.go MaxPodCreateDeletePerSync]
COMPLETION_INDEX = "JOB_COMPLETION_INDEX"


def build(obj: Object, templates: list[Object], options: CompileOptions) -> Part:
    objects: list[PlannedObject] = [planned(obj)]
    claims: list[ClaimPlan] = []
    plans: list[PodPlan] = []
    taken: set[str] = set()
    for number, template in enumerate(templates):
        one = {**obj, "spec": {**obj["spec"], "template": template}}
        pod = _defaulted(pod_of(one, OWNER_UID, number if indexed(obj) else None, number, taken))
        owned = ephemeral.part(pod, options)
        objects += [planned(pod, key(obj)), *owned.objects]
        claims += owned.claims
        plans.append(compile_pod(pod, options, controlled=True))
    return Part(tuple(objects), tuple(claims), pods=tuple(plans))


def first(obj: Object) -> int:
    """How many pods a Job begins with."""
    spec = obj["spec"]
    if spec.get("suspend") or spec.get("managedBy") not in (None, jobs.CONTROLLER):
        return 0
    parallel = 1 if spec.get("parallelism") is None else int(spec["parallelism"])
    most = spec.get("completions")
    return min(parallel, AT_ONCE, parallel if most is None else int(most))


def templates_of(obj: Object) -> list[Object]:
    return workload.templates_of(obj, first(obj))


def indexed(obj: Object) -> bool:
    return bool(obj["spec"].get("completionMode") == jobs.INDEXED)


def pod_of(obj: Object, uid: str, index: int | None, seed: int, taken: set[str], failures: tuple[int, int] = (0, 0)) -> Object:
    """A pod of the Job whose uid is `uid`, without defaults. `failures`: counted and ignored ones of its index so far.

    `seed` gives the last five letters of its name, which is none of those `taken` and then is one of them.
    """
    spec, name = obj["spec"], key(obj)
    made = jobs.labelled(obj, uid)["spec"]["template"]
    given, inner = made.get("metadata") or {}, made["spec"]
    base = f"{name.name}-" if index is None else base_of(name.name, index)
    labels, marks = dict(given.get("labels") or {}), {**workload.podman_marks(obj), **(given.get("annotations") or {})}
    if index is not None:
        labels[jobs.INDEX] = marks[jobs.INDEX] = str(index)
        if spec.get("backoffLimitPerIndex") is not None:
            marks[jobs.INDEX_FAILURES] = str(failures[0])
            marks.update({jobs.INDEX_IGNORED: str(failures[1])} if failures[1] else {})
        inner = _with_index({**inner, "hostname": f"{name.name}-{index}"})
    meta: Object = {
        "name": _name(base[: names.MAX_BASE], f"{name.namespace}/{uid}", seed, taken),
        "generateName": base,
        "namespace": name.namespace,
        "labels": labels,
        "ownerReferences": [workload.owner_reference(obj)],
    }
    if marks:
        meta["annotations"] = marks
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": inner}


def _name(base: str, seed: str, number: int, taken: set[str]) -> str:
    """Drawn from what it belongs to: a decision that is made again after a kill gives the same names."""
    name = ""
    while not name or name in taken:
        name, number = base + names.suffix(f"{seed}/{base}/{number}"), number + 1
    taken.add(name)
    return name


def base_of(name: str, index: int) -> str:
    """The Job's name is cut so that the index stays."""
    tail = f"-{index}-"
    return name[: names.MAX_BASE - len(tail)] + tail


def _with_index(spec: Object) -> Object:
    made = dict(spec)
    for field in ("initContainers", "containers"):
        if spec.get(field):
            made[field] = [_told(container) for container in spec[field]]
    return made


def _told(container: Object) -> Object:
    """A container with the index in its environment, unless it has that variable."""
    env = container.get("env") or []
    if any(entry.get("name") == COMPLETION_INDEX for entry in env):
        return container
    reference = {"fieldRef": {"apiVersion": "v1", "fieldPath": f"metadata.labels['{jobs.INDEX}']"}}
    return {**container, "env": [*env, {"name": COMPLETION_INDEX, "valueFrom": reference}]}


def _defaulted(pod: Object) -> Object:
    from kubeplay.kube import defaults, kinds

    kind = kinds.find("v1", "Pod")
    assert kind is not None
    return defaults.apply(pod, kind)

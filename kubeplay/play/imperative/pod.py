"""The objects of `run` and `create`: a Pod of one container, and the claims of the volumes it names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kubeplay.errors import InvalidInput, NotSupported
from kubeplay.play.compile import marks
from kubeplay.play.imperative import health, mounts, network, resources, secrets, security, words
from kubeplay.play.imperative.draft import Draft, Given, Machine, Object
from kubeplay.record import Record

GRACE = 10  # seconds: podman's --stop-timeout
_POLICIES = {"": "Never", "no": "Never", "never": "Never", "always": "Always", "unless-stopped": "Always", "on-failure": "OnFailure"}
_PULL = {"always": "Always", "missing": "IfNotPresent", "ifnotpresent": "IfNotPresent", "never": "Never", "newer": "Always"}
# Of a pod, so not to be said of a container that joins one (podman says the same).
POD_ONLY = (
    "publish", "publish_all", "network", "ip", "ip6", "mac_address", "network_alias", "hostname", "add_host", "dns", "dns_option",
    "dns_search", "pid", "ipc", "uts", "userns", "init",
    "group_add", "sysctl", "stop_timeout", "log_driver", "log_opt", "timeout", "label", "label_file",
    "annotation",
)  # fmt: skip


class Made(Record):
    """`objects` in the order to store them, the Pod last; what is told but cannot be kept to in `warnings`."""

    objects: tuple[Object, ...]
    warnings: tuple[str, ...] = ()

    @property
    def pod(self) -> Object:
        return self.objects[-1]


def build(name: str, namespace: str, image: str, argv: Sequence[str], given: Given, machine: Machine, pod_name: str = "") -> Made:
    """The objects of a container `name` in a pod of its own, of the same name unless `pod_name` says another.

    Raises InvalidInput, NotFound, NotSupported.
    """
    check(given)
    draft = container(Draft(name), image, argv, given, machine)
    network.fill(draft, given, machine)
    describe(draft, given, machine)
    live(draft, given)
    return assembled(pod_name or name, namespace, draft, machine)


def assembled(name: str, namespace: str, draft: Draft, machine: Machine) -> Made:
    """The draft as a Pod `name` of one container, after its claims."""
    meta: Object = {"name": name, "namespace": namespace, "annotations": draft.annotations}
    if draft.labels:
        meta["labels"] = draft.labels
    spec: Object = {**draft.spec, "containers": [draft.container], "enableServiceLinks": False}
    if draft.volumes:
        spec["volumes"] = draft.volumes
    if "stopSignal" in draft.container.get("lifecycle", {}):
        spec["os"] = {"name": "linux"}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}
    return Made((*claims(draft, namespace, machine), pod), tuple(draft.warnings))


def container(draft: Draft, image: str, argv: Sequence[str], given: Given, machine: Machine) -> Draft:
    """The container itself, and what it asks of its pod's volumes."""
    _image(draft, image, given)
    _program(draft, argv, given)
    env = variables(given, machine)
    if env:
        draft.container["env"] = [{"name": name, "value": words.literal(value)} for name, value in env]
    security.fill(draft, given)
    resources.fill(draft, given)
    secrets.fill(draft, given, machine)
    mounts.fill(draft, given, machine)
    health.fill(draft, given)
    return draft


def claims(draft: Draft, namespace: str, machine: Machine) -> list[Object]:
    """A claim for each named volume that has none yet: a cluster needs it, and `generate` writes it."""
    return [_claim(name, namespace) for name in dict.fromkeys(draft.claims) if name not in machine.claims]


def _claim(name: str, namespace: str) -> Object:
    spec: dict[str, Any] = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name, "namespace": namespace}, "spec": spec}


def check(given: Given) -> None:
    """What podman refuses, in its words."""
    policy = given.get("restart") or "no"
    if given.get("rm") and policy not in ("no", "never"):
        raise InvalidInput('the --rm option conflicts with --restart, when the restartPolicy is not "" and "no"')


def policy(text: str | None) -> str:
    """A Pod's restartPolicy for --restart. Raises InvalidInput."""
    word, colon, count = (text or "").partition(":")
    if word == "on-failure" and colon:
        raise NotSupported(f"--restart {text}: a Pod's restarts are not counted", hint="--restart on-failure starts it again, ever later")
    if word not in _POLICIES or count:
        raise InvalidInput(f"--restart {text!r} is not a restart policy", hint="no, on-failure, always or unless-stopped")
    return _POLICIES[word]


def _image(draft: Draft, image: str, given: Given) -> None:
    draft.container["image"] = image
    pull = (given.get("pull") or "missing").lower()
    if pull not in _PULL:
        raise InvalidInput(f"--pull {pull!r} is not a pull policy", hint="always, missing, never or newer")
    draft.container["imagePullPolicy"] = _PULL[pull]
    if pull == "newer":
        draft.annotations[marks.PULL_POLICY] = marks.NEWER


def _program(draft: Draft, argv: Sequence[str], given: Given) -> None:
    """CM1: an entrypoint that is given drops the image's command as well, here as with podman."""
    entrypoint = given.get("entrypoint")
    found = words.command("--entrypoint", entrypoint) if entrypoint is not None else []
    rest = list(argv)
    if entrypoint is not None and not found:  # --entrypoint "": the image's is dropped, the words are the program
        found, rest = rest, []
        if not found:
            raise InvalidInput('--entrypoint "" needs a command: the image\'s own would be its entrypoint\'s arguments')
    if found:
        draft.container["command"] = [words.literal(word) for word in found]
    if rest:
        draft.container["args"] = [words.literal(word) for word in rest]
    for dest, field in (("workdir", "workingDir"),):
        if given.get(dest):
            draft.container[field] = given[dest]
    if given.get("tty"):
        draft.container["tty"] = True
    if given.get("interactive"):
        draft.container["stdin"] = True
        if not given.get("detach"):  # docker's rule: the first one to attach is the one whose end of input counts
            draft.container["stdinOnce"] = True
    if given.get("stop_signal"):
        draft.container["lifecycle"] = {"stopSignal": _signal(given["stop_signal"])}


def _signal(text: str) -> str:
    """`15`, `term` and `SIGTERM` as Kubernetes has it: SIGTERM."""
    import signal

    word = text.upper()
    if word.isdigit():
        try:
            return signal.Signals(int(word)).name
        except ValueError:
            raise InvalidInput(f"--stop-signal {text!r} is not a signal") from None
    return word if word.startswith("SIG") else f"SIG{word}"


def variables(given: Given, machine: Machine) -> list[tuple[str, str]]:
    """--env-file, then --env; of several of one name the last one; a name alone takes the caller's value."""
    found: dict[str, str] = {}
    for path in given.get("env_file", ()):
        for line in machine.lines(path):
            line = line.strip()
            if line and not line.startswith("#"):
                _variable(found, line, machine)
    for text in given.get("env", ()):
        _variable(found, text, machine)
    return list(found.items())


def _variable(found: dict[str, str], text: str, machine: Machine) -> None:
    name, equals, value = text.partition("=")
    if not name or "\0" in text:
        raise InvalidInput(f"--env {text!r} is not NAME=VALUE")
    if not equals and name.endswith("*"):
        found.update((key, value) for key, value in machine.environ.items() if key.startswith(name[:-1]))
    elif equals or name in machine.environ:
        found.pop(name, None)
        found[name] = value if equals else machine.environ[name]


def describe(draft: Draft, given: Given, machine: Machine) -> None:
    """Labels and annotations. A label that Kubernetes could not take (podman's may be any text) is kept as an annotation."""
    from kubeplay.kube.validate.metadata import check_labels
    from kubeplay.kube.validate.report import Faults

    lines = [line.strip() for path in given.get("label_file", ()) for line in machine.lines(path)]
    for text in (*[line for line in lines if line and not line.startswith("#")], *given.get("label", ())):
        key, value = words.pair("--label", text)
        faults = Faults()
        check_labels(faults, "--label", {key: value})
        if faults.items:
            draft.warnings.append(f"--label {key}: not a Kubernetes label, kept as an annotation")
            draft.annotations[key] = value
        else:
            draft.labels[key] = value
    draft.annotations.update(words.pair("--annotation", text) for text in given.get("annotation", ()))
    draft.annotations[marks.CONTAINER_PREFIX] = "false"


def live(draft: Draft, given: Given) -> None:
    """Restart policy, grace, and how it ends."""
    draft.spec["restartPolicy"] = policy(given.get("restart"))
    grace = given.get("stop_timeout")
    draft.spec["terminationGracePeriodSeconds"] = GRACE if grace is None else grace
    if given.get("timeout"):
        draft.spec["activeDeadlineSeconds"] = given["timeout"]
    if given.get("rm"):
        draft.annotations[marks.AUTO_REMOVE] = "true"

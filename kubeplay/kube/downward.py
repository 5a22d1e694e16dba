"""The downward API: fields of a pod (DA1, DA2) and amounts of its containers' resources (DA3) as text.

Pure: everything a field can name is handed in, since addresses and the uid exist only at run time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kubeplay.plan.container import Resources
from kubeplay.record import Record


class PodFacts(Record):
    """What a fieldRef may ask about a pod; an address not yet known is ""."""

    name: str
    namespace: str
    uid: str = ""
    labels: Mapping[str, str] = {}
    annotations: Mapping[str, str] = {}
    node_name: str = ""
    service_account: str = "default"
    host_ips: tuple[str, ...] = ()
    pod_ips: tuple[str, ...] = ()


class NodeFacts(Record):
    """What one machine can give: stands in for a limit that is not set (DA3, LR2)."""

    cpu_milli: int
    memory: int
    ephemeral: int


def one_of_each_family(addresses: Sequence[str]) -> tuple[str, ...]:
    """podIPs: at most two, one IPv4 and one IPv6; those of further networks are not in it."""
    return tuple([one for index, one in enumerate(addresses) if (":" in one) not in [":" in other for other in addresses[:index]]])


def field(path: str, pod: PodFacts) -> str | None:
    """The value of an env fieldRef; a missing label or annotation is "". None: no such field."""
    simple = _simple(path, pod)
    if simple is not None:
        return simple
    for prefix, values in (("metadata.labels['", pod.labels), ("metadata.annotations['", pod.annotations)):
        if path.startswith(prefix) and path.endswith("']"):
            return values.get(path[len(prefix) : -2], "")
    return None


def volume_field(path: str, pod: PodFacts) -> str | None:
    """The value of a volume's fieldRef: as of a variable, or all labels or annotations, a line each (DA2)."""
    whole = {"metadata.labels": pod.labels, "metadata.annotations": pod.annotations}.get(path)
    if whole is None:
        return field(path, pod)
    return "\n".join([f"{key}={_quoted(whole[key])}" for key in sorted(whole)])


def _simple(path: str, pod: PodFacts) -> str | None:
    match path:
        case "metadata.name":
            return pod.name
        case "metadata.namespace":
            return pod.namespace
        case "metadata.uid":
            return pod.uid
        case "spec.nodeName":
            return pod.node_name
        case "spec.serviceAccountName":
            return pod.service_account
        case "status.hostIP":
            return pod.host_ips[0] if pod.host_ips else ""
        case "status.hostIPs":
            return ",".join(pod.host_ips)
        case "status.podIP":
            return pod.pod_ips[0] if pod.pod_ips else ""
        case "status.podIPs":
            return ",".join(pod.pod_ips)
    return None


_ESCAPES = {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v", '"': '\\"', "\\": "\\\\"}


def _quoted(text: str) -> str:
    """As Go's %q writes a string, which is what a kubelet does with each value."""
    return f'"{"".join([_escaped(letter) for letter in text])}"'


def _escaped(letter: str) -> str:
    if letter in _ESCAPES:
        return _ESCAPES[letter]
    if letter.isprintable():
        return letter
    code = ord(letter)
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def resource(name: str, divisor: str, resources: Resources, node: NodeFacts) -> str | None:
    """The value of a resourceFieldRef: ceil(amount / divisor). None: no such resource.

    `resources` are those of the container it names; with an unset limit the machine's own amount counts, an unset request is 0.
    """
    amount = _amount(name, resources, node)
    if amount is None:
        return None
    unit = divide_by(divisor, cpu=name.endswith(".cpu"))
    return str(-(-amount // unit))


def _amount(name: str, resources: Resources, node: NodeFacts) -> int | None:
    table = {
        "limits.cpu": (resources.cpu_limit, node.cpu_milli),
        "limits.memory": (resources.memory_limit, node.memory),
        "limits.ephemeral-storage": (resources.ephemeral_limit, node.ephemeral),
        "requests.cpu": (resources.cpu_request, 0),
        "requests.memory": (resources.memory_request, 0),
        "requests.ephemeral-storage": (resources.ephemeral_request, 0),
    }
    if name in table:
        value, otherwise = table[name]
        return otherwise if value is None else value
    which, _, kind = name.partition(".")
    if which in ("limits", "requests") and kind.startswith("hugepages-"):
        return dict(resources.others).get(kind, 0)  # requests equal limits for huge pages (RS7)
    return None


def divide_by(divisor: str, *, cpu: bool) -> int:
    """The divisor in the unit of the amount (milli for CPU); "0", the API's unset, is 1."""
    from kubeplay.kube import quantity

    parsed = quantity.parse(divisor or "1")
    return (parsed.milli() if cpu else parsed.value()) or (1000 if cpu else 1)

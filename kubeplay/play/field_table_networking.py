"""The rows of Ingress, IngressClass and NetworkPolicy; field_table.py says how to read them."""

from __future__ import annotations


def _backend(path: str) -> str:
    return f"""
{path} | + |
{path}.service | + |
{path}.service.name | + |
{path}.service.port | + |
{path}.service.port.name | + |
{path}.service.port.number | + |
{path}.resource | - | a backend that is no Service
"""


INGRESS = (
    """
ingressClassName | + | our proxy serves every class
rules[] | + |
rules[].host | + |
rules[].http | + |
rules[].http.paths[] | + |
rules[].http.paths[].path | + |
rules[].http.paths[].pathType | + | ImplementationSpecific is Prefix
tls[] | + | plain HTTP is served as well
tls[].hosts[] | + |
tls[].secretName | + | without one, or with one that holds no certificate, a certificate of our own is shown
"""
    + _backend("defaultBackend")
    + _backend("rules[].http.paths[].backend")
)

INGRESS_CLASS = """
controller | + | kept; our proxy is the controller of every class
parameters | o | of other controllers
"""

_SELECTOR = ("matchLabels{}", "matchExpressions[]", "matchExpressions[].key", "matchExpressions[].operator", "matchExpressions[].values[]")


def _selector(path: str) -> str:
    return "".join(f"{path}{field} | + |\n" for field in ("", *(f".{one}" for one in _SELECTOR)))


def _rules(field: str, peers: str) -> str:
    plain = ("", ".ports[]", ".ports[].port", ".ports[].protocol", ".ports[].endPort", f".{peers}[]", f".{peers}[].ipBlock")
    blocks = (f".{peers}[].ipBlock.cidr", f".{peers}[].ipBlock.except[]")
    own = "".join(f"{field}[]{one} | + |\n" for one in (*plain, *blocks))
    return own + _selector(f"{field}[].{peers}[].podSelector") + _selector(f"{field}[].{peers}[].namespaceSelector")


NETWORK_POLICY = _selector("podSelector") + "policyTypes[] | + |\n" + _rules("ingress", "from") + _rules("egress", "to")

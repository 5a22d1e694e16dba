"""The door to the `kubernetes` package: its typed models, for the Python API and for writing the schemas.

Importing the package takes a quarter of a second, so nothing on the way of a command comes here.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from kubeplay.record import Record

if TYPE_CHECKING:
    from kubeplay.kube.kinds import Kind

# Several groups have a model of this name; the package sets the group before it.
_PREFIX = re.compile(r"^(?:[A-Z][a-z]+)?V1(?=[A-Z])")
# Two models of one name: the older one keeps it.
_SAME = {"DiscoveryV1EndpointPort": "DiscoveryEndpointPort"}


class Field(Record):
    """A field of a model: its JSON name and its type as the package writes it (`list[V1Container]`)."""

    name: str
    type: str


def model(name: str) -> Any:
    """The model class of that name, as `V1Pod`."""
    from kubernetes.client import models

    return getattr(models, name)


def model_name(kind: Kind) -> str:
    """The name of a kind's model: `V1Deployment` for apps/v1 Deployment."""
    return f"{kind.version[0].upper()}{kind.version[1:]}{kind.kind}"


def short_name(name: str) -> str:
    """`PodSpec` for V1PodSpec; what is of a later version keeps that (V2MetricSpec)."""
    return _SAME.get(name) or _PREFIX.sub("", name)


def fields(name: str) -> list[Field]:
    """The fields of a model, in the package's order."""
    found = model(name)
    return [Field(found.attribute_map[attribute], kind) for attribute, kind in found.openapi_types.items()]


def typed(obj: dict[str, Any], kind: Kind) -> Any:
    """The object as the package's class (V1Pod, ...): for Python programs that want attributes."""
    from kubernetes.client import ApiClient

    class _Response:
        def __init__(self, text: str) -> None:
            self.data = text

    import json

    client = ApiClient()
    try:
        return client.deserialize(_Response(json.dumps(obj)), model_name(kind))
    finally:
        client.close()


def plain(instance: Any) -> dict[str, Any]:
    """The dict of a typed object, with JSON names and without empty fields."""
    from kubernetes.client import ApiClient

    client = ApiClient()
    try:
        found: dict[str, Any] = client.sanitize_for_serialization(instance)
        return found
    finally:
        client.close()

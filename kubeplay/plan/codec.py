"""Plans as JSON: each record is an object tagged with its class, so decoding needs no type hints.

The text is canonical (sorted keys, no spaces): two plans are equal when their texts are.
"""

from __future__ import annotations

from typing import Any

TAG = "!"


def encode(value: Any) -> Any:
    """`value` as plain JSON data."""
    fields = getattr(value, "_fields", None)
    if fields is not None:
        data = {name: encode(item) for name, item in zip(fields, value)}
        data[TAG] = type(value).__name__
        return data
    if isinstance(value, (tuple, list)):
        return [encode(item) for item in value]
    return value


def dumps(value: Any) -> str:
    """Canonical JSON text of a plan record."""
    import json

    return json.dumps(encode(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def loads(text: str) -> Any:
    """The record that `dumps` wrote. Raises StoreError for a record this version does not know."""
    import json

    return _decode(json.loads(text), _classes())


def _decode(data: Any, classes: dict[str, Any]) -> Any:
    if isinstance(data, dict):
        cls = classes.get(data.get(TAG, ""))
        if cls is None:
            from kubeplay.errors import StoreError

            raise StoreError(f"unknown plan record {data.get(TAG)!r}", hint="it was written by a newer kubeplay")
        return cls(**{k: _decode(v, classes) for k, v in data.items() if k in cls._fields})
    if isinstance(data, list):
        return tuple([_decode(item, classes) for item in data])
    return data


_known: dict[str, Any] = {}


def _classes() -> dict[str, Any]:
    if not _known:
        from kubeplay.plan import container, env, pod, policy, probe, security, service, stack, volumes

        found: dict[str, Any] = {}
        for module in (container, env, pod, policy, probe, security, service, stack, volumes):
            found.update({n: c for n, c in vars(module).items() if isinstance(c, type) and hasattr(c, "_fields")})
        _known.update(found)  # at once: another thread that finds some of them takes them for all
    return _known

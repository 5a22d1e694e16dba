"""Empty lists and maps of texts: a server does not store them, so whether they are written makes no difference. Pure."""

from __future__ import annotations

from typing import Any

from kubeplay.kube.merge import keys, order

Json = dict[str, Any]


def aligned(body: Json, live: Json, record: str) -> Json:
    """`body` with its empty lists and maps there and not there as in `live`. An empty record (`emptyDir: {}`) says something: it stays."""
    from kubeplay.kube.schema import types

    fields = types().get(record, {})
    made: Json = {}
    for name, item in body.items():
        loose = fields.get(name, "o")[0] in "[{"
        if loose and not item and name not in live:
            continue
        made[name] = _aligned(item, live.get(name), keys.field(record, name))
    for name, item in live.items():
        if name not in body and item in ([], {}) and fields.get(name, "o")[0] in "[{":
            made[name] = item
    return made


def _aligned(item: Any, live: Any, field: keys.Field) -> Any:
    if isinstance(item, dict) and isinstance(live, dict) and field.of:
        return aligned(item, live, field.of)
    if isinstance(item, list) and isinstance(live, list) and field.of:
        there = order.places(live, field.key) if field.key else {}
        twins = [live[there[mark]] if (mark := order.mark(one, field.key)) in there else None for one in item] if field.key else live
        pairs = zip(item, [*twins, *[None] * len(item)])
        return [aligned(one, twin, field.of) if isinstance(one, dict) and isinstance(twin, dict) else one for one, twin in pairs]
    return item

"""Names a controller would draw at random, here drawn from what they belong to: the same file gives the same names (DE2)."""

from __future__ import annotations

ALPHABET = "bcdfghjklmnpqrstvwxz2456789"  # DE2: no vowels, so no words
MAX_BASE = 58  # VL1: a generated name's base plus five characters stays a label
SUFFIX = 5


def fnv32a(text: str) -> int:
    """The FNV-1a hash, as Kubernetes takes of a template."""
    value = 0x811C9DC5
    for byte in text.encode("utf-8", "surrogatepass"):
        value = (value ^ byte) * 0x01000193 & 0xFFFFFFFF
    return value


def template_hash(template: object) -> str:
    """The pod-template-hash of a defaulted template: the decimal digits of its hash in the safe alphabet."""
    import json

    text = json.dumps(template, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return "".join(ALPHABET[int(digit)] for digit in str(fnv32a(text)))


def suffix(seed: str) -> str:
    """Five characters of the safe alphabet for `seed`."""
    value, text = fnv32a(seed), ""
    for _ in range(SUFFIX):
        value, index = divmod(value, len(ALPHABET))
        text += ALPHABET[index]
    return text


def generated(base: str, count: int, seed: str = "") -> list[str]:
    """`count` different names for one generateName."""
    names: dict[str, None] = {}
    number = 0
    while len(names) < count:
        names[base[:MAX_BASE] + suffix(f"{seed}{base}/{number}")] = None
        number += 1
    return list(names)

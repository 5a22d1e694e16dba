"""What `run`, `create` and `--no-pod-prefix` note on a pod for kubeplay alone: how it is listed, and whether it goes when it has ended.

Nobody else reads it, so files that `generate` writes for a cluster go without; a file without them means the same pod.
"""

from __future__ import annotations

from collections.abc import Mapping

LISTED, REMOVED = "kubeplay.io/container-prefix", "kubeplay.io/auto-remove"
NOTES = (LISTED, REMOVED)


def without(annotations: Mapping[str, str]) -> dict[str, str]:
    """The annotations that are not notes."""
    return {key: value for key, value in annotations.items() if key not in NOTES}


def kept(stored: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """What a file gives, with the notes of the stored pod that it says nothing of."""
    return {**{key: value for key, value in stored.items() if key in NOTES}, **given}


def by_flags(annotations: Mapping[str, str]) -> bool:
    """Whether a pod was made by `run` or its like, not from a file."""
    return annotations.get(LISTED) == "false"

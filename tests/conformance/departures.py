"""Where kubeplay's verdict on purpose differs from the API server's, and why; docs/decisions/0010-reading-yaml.md tells it at length."""

from __future__ import annotations

# Files whose verdict differs.
VERDICT = {
    "179-dupkey-top.yaml": "duplicate key: kubectl keeps the last one in silence",
    "181-dupkey-label.yaml": "duplicate key",
    "185-dupkey-flow.yaml": "duplicate key",
    "627-yaml-json-dupkey.yaml": "duplicate key in JSON",
    "205-yaml-two-docs-no-sep.yaml": "text after `...`: kubectl drops the second object in silence",
}

# Files refused by both, at different fields.
PATH = {
    "183-dupkey-metadata-block.yaml": "duplicate key: the server only sees the second metadata, which has no name",
}

# Objects whose defaults differ from defaulted/, beyond what the server adds at run time.
DEFAULTS = {
    "373-pod-stopsignal-no-os.yaml": "lifecycle.stopSignal is kept: the server drops it, its alpha gate being off (LH4)",
}

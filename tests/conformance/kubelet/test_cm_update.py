"""Record 257: the ConfigMap of a running pod changes; its file follows, a subPath and a variable do not (VO5, EN6)."""

from __future__ import annotations

import pytest

from tests.conformance.kubelet import compare
from tests.support.images import image_archives
from tests.support.root import Root, root, shared_root

__all__ = ["image_archives", "root", "shared_root"]

pytestmark = [pytest.mark.root, pytest.mark.slow]
CASE = compare.RECORD / "257-cm-update"


def test_vo5_a_file_follows_its_configmap_record_257(root: Root) -> None:
    text = (CASE / "manifest.yaml").read_text()
    theirs = {line.split(" ", 1)[1] for line in (CASE / "logs" / "main__0.txt").read_text().splitlines()}
    root.play(text)
    root.wait(lambda: "0 alpha alpha alpha" in root.log("cm-update"))
    root.play(text.replace("{a: alpha", "{a: NEW"), update=True)
    root.wait(lambda: "NEW" in root.log("cm-update"))
    assert {line.split(" ", 1)[1] for line in root.log("cm-update").splitlines()} == theirs == {"alpha alpha alpha", "NEW alpha alpha"}

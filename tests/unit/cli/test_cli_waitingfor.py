"""What `wait --for` understands."""

from __future__ import annotations

from typing import Any

import pytest

from kubeplay.cli.waitingfor import met, parse
from kubeplay.errors import InvalidInput

POD: dict[str, Any] = {
    "metadata": {"name": "web"},
    "status": {"phase": "Running", "podIP": "", "conditions": [{"type": "Ready", "status": "True"}, {"type": "Odd", "status": "False"}]},
}


@pytest.mark.parametrize(("text", "pod", "absent"), [
    ("delete", False, True), ("create", True, False), ("condition=Ready", True, False), ("condition=ready=TRUE", True, False),
    ("condition=Ready=false", False, False), ("condition=Odd=False", True, False), ("condition=None", False, False),
    ("jsonpath={.status.phase}=Running", True, False), ("jsonpath='{.status.phase}'=Running", True, False),
    ("jsonpath={.status.phase}=Failed", False, False), ("jsonpath={.status.phase}", True, False),
    ("jsonpath={.status.podIP}", False, False),
    ("jsonpath=.status.phase=Running", True, False), ('jsonpath={.status.conditions[?(@.type=="Ready")].status}=True', True, False),
])  # fmt: skip
def test_goals(text: str, pod: bool, absent: bool) -> None:
    assert (met(parse(text), POD), met(parse(text), None)) == (pod, absent)


@pytest.mark.parametrize("text", ["", "ready", "condition=", "jsonpath=", "jsonpath={.a", "jsonpath={.a}b", "deleted"])
def test_what_is_no_goal(text: str) -> None:
    with pytest.raises(InvalidInput):
        parse(text)

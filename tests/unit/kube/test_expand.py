"""`$(NAME)` as the kubelet expands it (EN2, EN3; kubernetes-surprises.md, run time)."""

from __future__ import annotations

import pytest

from kubeplay.kube.expand import expand, unresolved

KNOWN = {"A": "va", "B": "$(A)", "EMPTY": "", "a.b-c": "odd"}

CASES = [
    ("", ""),
    ("plain", "plain"),
    ("$(A)", "va"),
    ("x$(A)y$(A)", "xvayva"),
    ("$(X)", "$(X)"),
    ("$$", "$"),
    ("kill -9 $$", "kill -9 $"),
    ("$$$", "$$"),
    ("$$(A)", "$(A)"),
    ("$$$(A)", "$va"),
    ("$$$$(A)", "$$(A)"),
    ("$(A", "$(A"),
    ("$(A$(A)", "$(A$(A)"),
    ("$()", "$()"),
    ("$A ${A} $x", "$A ${A} $x"),
    ("$x$(A)", "$xva"),
    ("end$", "end$"),
    ("$(A)$", "va$"),
    ("$(B)", "$(A)"),
    ("$(EMPTY)|", "|"),
    ("$(a.b-c)", "odd"),
    ("$($(A))", "$($(A))"),
    ("ąę $(A) 日本", "ąę va 日本"),
]


@pytest.mark.parametrize(("text", "result"), CASES)
def test_en2_expansion(text: str, result: str) -> None:
    assert expand(text, KNOWN.get) == result


def test_en2_nothing_is_looked_up_without_a_reference() -> None:
    def never(name: str) -> str:
        raise AssertionError(name)

    assert expand("$$ $x $(open", never) == "$ $x $(open"


@pytest.mark.parametrize(
    ("text", "result"),
    [("$(A)/x", ("va/x", ())), ("$(NOPE)/$(ALSO)/$(A)", ("//va", ("ALSO", "NOPE"))), ("$(EMPTY)", ("", ("EMPTY",))), ("p", ("p", ()))],
)
def test_en3_missing_and_empty_names_are_told(text: str, result: tuple[str, tuple[str, ...]]) -> None:
    assert unresolved(text, KNOWN.get) == result

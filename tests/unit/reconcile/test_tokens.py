"""Service account tokens: what they say, how long, and that the root's public key verifies them (VO6)."""

from __future__ import annotations

import base64
import json
import os
import stat
import threading
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.hashes import SHA256

from kubeplay.errors import StoreError
from kubeplay.kube.downward import PodFacts
from kubeplay.reconcile import tokens

POD = PodFacts("p", "ns", "0b6a9a6e-0000-4000-8000-000000000001", node_name="n")


def decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def verified(directory: Path, token: str) -> dict[str, Any]:
    """The claims of a token whose signature is right by the published key. Raises InvalidSignature."""
    header, content, signature = token.split(".")
    key = json.loads((directory / "serviceaccount.jwks").read_text())["keys"][0]
    assert json.loads(decoded(header)) == {"alg": "RS256", "kid": key["kid"]}
    numbers = RSAPublicNumbers(int.from_bytes(decoded(key["e"]), "big"), int.from_bytes(decoded(key["n"]), "big"))
    numbers.public_key().verify(decoded(signature), f"{header}.{content}".encode(), PKCS1v15(), SHA256())
    found: dict[str, Any] = json.loads(decoded(content))
    return found


def test_vo6_a_token_is_signed_by_the_roots_own_key(tmp_path: Path) -> None:
    life = tokens.period(1000.5, 3600, 1000.5)
    token = tokens.Signer(str(tmp_path)).sign(tokens.claims(POD, "", life))
    found = verified(tmp_path, token)
    assert (found["iat"], found["nbf"], found["exp"]) == (1000, 1000, 4600)
    assert found["sub"] == "system:serviceaccount:ns:default" and found["aud"] == [tokens.ISSUER]
    assert found["kubernetes.io"]["pod"] == {"name": "p", "uid": POD.uid}
    assert stat.S_IMODE(os.stat(tmp_path / "serviceaccount.key").st_mode) == 0o600
    again = tokens.Signer(str(tmp_path)).sign(tokens.claims(POD, "", life))
    assert again == token  # writing it again changes no file
    with pytest.raises(InvalidSignature):
        verified(tmp_path, token[:-8] + "AAAAAAAA")


def test_vo6_one_key_however_many_make_it_at_once(tmp_path: Path) -> None:
    made: list[str] = []
    threads = [threading.Thread(target=lambda: made.append(tokens.Signer(str(tmp_path)).sign({"a": 1}))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 3 and len(set(made)) == 1
    assert sorted(os.listdir(tmp_path)) == ["serviceaccount.jwks", "serviceaccount.key"]


def test_a_broken_key_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "serviceaccount.key").write_text("no key")
    with pytest.raises(StoreError, match="serviceaccount.key") as caught:
        tokens.Signer(str(tmp_path)).sign({})
    assert "remove the file" in caught.value.hint


@pytest.mark.parametrize(("seconds", "now", "issued", "renewed", "expires"), [
    (600, 100.9, 100, 580, 700), (600, 579.9, 100, 580, 700), (600, 580, 580, 1060, 1180), (600, 5, 100, 580, 700),
    (1 << 32, 100 + 86400 * 3 + 7, 100 + 86400 * 3, 100 + 86400 * 4, 100 + 86400 * 3 + (1 << 32)),
])  # fmt: skip
def test_vo6_a_token_is_renewed_after_80_percent_or_a_day(seconds: int, now: float, issued: int, renewed: int, expires: int) -> None:
    assert tokens.period(100.2, seconds, now) == tokens.Period(issued, renewed, expires)

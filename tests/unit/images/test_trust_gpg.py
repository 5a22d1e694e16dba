"""Simple signing against a real gpg: what is accepted, and every way in which a signature is none."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kubeplay.engine.images import trust
from kubeplay.engine.images.transports.base import Document, Signature
from kubeplay.engine.images.trust import blobs, payload
from kubeplay.engine.images.trust.openpgp import Keyring
from kubeplay.errors import InvalidInput, TrustError
from tests.support.trust import DOCUMENT, MANIFEST, NAME, Gpg, Source, b64, digest, gpg, rules, simple


class Keys:
    """One gpg home for the whole file: making keys is what takes time."""

    def __init__(self, made: Gpg) -> None:
        self.gpg = made
        self.good, self.other = made.make("Release <release@team.example>"), made.make("Other <other@x.example>")
        self.expired = made.make("Old <old@x.example>", "20200102T000000", "ed25519", "--faked-system-time", "20200101T000000!")

    def requirement(self, key: str = "", **more: Any) -> dict[str, Any]:
        return {"type": "signedBy", "keyType": "GPGKeys", "keyData": b64(self.gpg.public(key or self.good)), **more}


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keys]:
    # gpg-agent's socket wants a short path
    with gpg(tmp_path_factory.mktemp("g") / "h") as made:
        yield Keys(made)


def _source(*signatures: Signature, **more: Any) -> Source:
    return Source({digest(MANIFEST): signatures}, **more)


def _refused(requirement: dict[str, Any], source: Source, document: Document = DOCUMENT, **more: Any) -> str:
    with pytest.raises(TrustError) as caught:
        trust.check(rules(requirement, **more), source, document)
    return str(caught.value)


def test_a_good_signature(keys: Keys, tmp_path: Path) -> None:
    signature = simple(keys.gpg, keys.good)
    accepted = trust.check(rules(keys.requirement()), _source(signature), DOCUMENT)
    assert accepted.digest == digest(MANIFEST) and accepted.signers == (f"key {keys.good}",) and accepted.signatures == (signature,)
    both = tmp_path / "keys.asc"
    both.write_bytes(keys.gpg.public(keys.other, armor=True) + keys.gpg.public(keys.good, armor=True))
    requirement = {"type": "signedBy", "keyType": "GPGKeys", "keyPaths": [str(both)]}
    assert trust.check(rules(requirement), _source(simple(keys.gpg, keys.other), signature), DOCUMENT).signers == (f"key {keys.other}",)


def test_a_signing_subkey_stands_for_its_key(keys: Keys) -> None:
    then = ("--faked-system-time", "20200101T000000!")
    key = keys.gpg.make("Sub <sub@x.example>", "never", "ed25519", *then)
    for expire in ("never", "20200102T000000"):
        keys.gpg.run(*then, "--quick-add-key", key, "ed25519", "sign", expire)
    rows = [line.split(":") for line in keys.gpg.run("--with-colons", "--list-keys", key).decode().splitlines()]
    good, old = [row[9] for row in rows if row[0] == "fpr"][1:]
    requirement = keys.requirement(key)
    assert trust.check(rules(requirement), _source(simple(keys.gpg, f"{good}!")), DOCUMENT).signers == (f"key {key}",)
    assert "expired" in _refused(requirement, _source(simple(keys.gpg, f"{old}!", NAME, MANIFEST, *then)))


def test_an_rsa_key(keys: Keys) -> None:
    key = keys.gpg.make("Rsa <rsa@x.example>", "never", "rsa2048")
    assert trust.check(rules(keys.requirement(key)), _source(simple(keys.gpg, key)), DOCUMENT).signers == (f"key {key}",)


def test_one_good_signature_among_bad_ones_is_enough(keys: Keys) -> None:
    bad = [Signature("simple", b"\x80junk"), simple(keys.gpg, keys.other), Signature("sigstore", b"{}")]
    assert trust.check(rules(keys.requirement()), _source(*bad, simple(keys.gpg, keys.good)), DOCUMENT).signers


def test_every_requirement_must_hold(keys: Keys) -> None:
    wanted = [keys.requirement(), keys.requirement(keys.other), {"type": "insecureAcceptAnything"}]
    one, two = simple(keys.gpg, keys.good), simple(keys.gpg, keys.other)
    assert len(trust.check(rules(*wanted), _source(one, two), DOCUMENT).signers) == 2
    with pytest.raises(TrustError, match=r"not one of the policy's"):
        trust.check(rules(*wanted), _source(one), DOCUMENT)
    with pytest.raises(TrustError, match="are refused"):
        trust.check(rules(*wanted, {"type": "reject"}), _source(one, two), DOCUMENT)


def test_no_signature_names_the_rule_and_the_digest(keys: Keys) -> None:
    message = _refused(keys.requirement(), _source())
    for part in ("Source image rejected", NAME, "policy.json", 'docker "quay.io/team"', "signedBy", digest(MANIFEST)):
        assert part in message, message


def test_a_changed_manifest(keys: Keys) -> None:
    changed = MANIFEST + b" "
    source = Source({digest(changed): [simple(keys.gpg, keys.good)]})
    message = _refused(keys.requirement(), source, Document(changed))
    assert f"a signature of the digest '{digest(MANIFEST)}'" in message and digest(changed) in message


@pytest.mark.parametrize("place", [-2, -30, 60])
def test_a_changed_signature(keys: Keys, place: int) -> None:
    data = bytearray(keys.gpg.sign(keys.good, payload.write(NAME, digest(MANIFEST), payload.SIMPLE, 0), "--compress-algo", "none"))
    data[place] ^= 0x21
    assert "no signature of" in _refused(keys.requirement(), _source(Signature("simple", bytes(data))))


def test_a_changed_text_is_told_as_such(keys: Keys) -> None:
    data = keys.gpg.sign(keys.good, payload.write(NAME, digest(MANIFEST), payload.SIMPLE, 0), "--compress-algo", "none")
    assert data.count(b"team/web:1") == 1
    changed = Signature("simple", data.replace(b"team/web:1", b"team/web:2"))
    message = _refused(keys.requirement(), _source(changed, reference="quay.io/team/web:2"))
    assert "does not fit its content" in message


def test_another_image_and_another_tag(keys: Keys) -> None:
    signature = simple(keys.gpg, keys.good)
    assert "is a signature for 'quay.io/team/web:1', not for 'quay.io/team/web:2'" in _refused(
        keys.requirement(), _source(signature, reference="quay.io/team/web:2")
    )
    assert "not for 'quay.io/team/db:1'" in _refused(keys.requirement(), _source(signature, reference="quay.io/team/db:1"))
    by_digest = f"quay.io/team/web@{digest(MANIFEST)}"
    assert trust.check(rules(keys.requirement()), _source(signature, reference=by_digest), DOCUMENT).signers


def test_another_key_an_expired_and_a_revoked_one(keys: Keys) -> None:
    assert "not one of the policy's" in _refused(keys.requirement(), _source(simple(keys.gpg, keys.other)))
    old = simple(keys.gpg, keys.expired, NAME, MANIFEST, "--faked-system-time", "20200101T010000!")
    assert "expired" in _refused(keys.requirement(keys.expired), _source(old))
    key = keys.gpg.make("Gone <gone@x.example>")
    signature = simple(keys.gpg, key)
    certificate = (keys.gpg.home / f"openpgp-revocs.d/{key}.rev").read_text().replace(":-----BEGIN", "-----BEGIN")
    keys.gpg.run("--import", stdin=certificate.encode())
    assert "revoked" in _refused(keys.requirement(key), _source(signature))


def test_an_expired_signature(keys: Keys) -> None:
    # gpg has no quick signature that ends in seconds, but its clock may be told
    key = keys.gpg.make("Then <then@x.example>", "never", "ed25519", "--faked-system-time", "20200101T000000!")
    old = simple(keys.gpg, key, NAME, MANIFEST, "--default-sig-expire", "1d", "--faked-system-time", "20200102T000000!")
    assert "the signature has expired" in _refused(keys.requirement(key), _source(old))


def test_messages_of_another_form(keys: Keys) -> None:
    text = payload.write(NAME, digest(MANIFEST), payload.SIMPLE, 0)
    # what follows a compressed packet is no part of a message: gpg does not read it
    good = keys.gpg.sign(keys.good, text, "--compress-algo", "none")
    literal = keys.gpg.run("--store", stdin=text)
    encrypt = ("--passphrase", "x", "--s2k-count", "1024", "--symmetric")
    forms = {
        "clear": keys.gpg.sign(keys.good, text, "--clear-sign"), "armored": keys.gpg.sign(keys.good, text, "--armor"),
        "detached": keys.gpg.sign(keys.good, text, "--detach-sign"), "unsigned": literal,
        "text before": literal + good, "text after": good + literal,
        "twice": good + good, "two signers": keys.gpg.sign(keys.good, text, "--local-user", keys.other),
        "of a text": keys.gpg.sign(keys.good, text, "--textmode"), "empty": b"", "cut": good[: len(good) // 2],
        "encrypted": keys.gpg.run(*encrypt, "--sign", "--local-user", keys.good, stdin=text),
        "sha1": keys.gpg.sign(keys.good, text, "--digest-algo", "SHA1", "--allow-weak-digest-algos"), "key": keys.gpg.public(keys.good),
        "empty text": keys.gpg.sign(keys.good, b""), "no json": keys.gpg.sign(keys.good, b"hello"),
        "cosign's": keys.gpg.sign(keys.good, payload.write(NAME, digest(MANIFEST), payload.COSIGN, 0)),
    }  # fmt: skip
    with Keyring([keys.gpg.public(keys.good)]) as ring:
        accepted = [name for name, data in forms.items() if _accepts(ring, data)]
    assert not accepted


def _accepts(ring: Keyring, data: bytes) -> bool:
    try:
        payload.read(ring.verify(data).text, payload.SIMPLE)
    except InvalidInput:
        return False
    return True


def test_a_huge_text_in_a_small_message(keys: Keys) -> None:
    """A compressed packet of 20 KB that unpacks to 20 MB, properly signed: gpg is told where to stop."""
    bomb = keys.gpg.sign(keys.good, b'{"critical": "' + b" " * (20 << 20), "--compress-algo", "zlib", "-z", "9")
    assert len(bomb) < 200_000
    assert "no signature of" in _refused(keys.requirement(), _source(Signature("simple", bomb)))
    # and one that nobody signed: an old-format compressed packet around nothing but zeros
    junk = b"\xa3\x02" + zlib.compress(b"\0" * (10 << 20), 9)
    assert "no signature of" in _refused(keys.requirement(), _source(Signature("simple", junk)))


def test_keys_that_are_none(keys: Keys, tmp_path: Path) -> None:
    signature = _source(simple(keys.gpg, keys.good))
    empty = tmp_path / "k"
    empty.write_bytes(b"")
    for path in (str(empty), str(tmp_path / "absent"), str(tmp_path), "/dev/zero"):
        assert path in _refused({"type": "signedBy", "keyType": "GPGKeys", "keyPath": path}, signature)


def test_the_callers_own_keyring_is_not_trusted(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GNUPGHOME", str(keys.gpg.home))
    assert "not one of the policy's" in _refused(keys.requirement(keys.other), _source(simple(keys.gpg, keys.good)))


def test_the_rule_of_another_transport_does_not_count(keys: Keys) -> None:
    signature = simple(keys.gpg, keys.good)
    source = _source(signature, transport="dir", scope="/srv/web", reference="")
    assert "default: images from there are refused" in _refused(keys.requirement(), source)
    assert "needs an image name" in _refused(keys.requirement(), source, transport="dir", scope="/srv")
    exact = keys.requirement(signedIdentity={"type": "exactReference", "dockerReference": NAME})
    assert trust.check(rules(exact, transport="dir", scope="/srv"), source, DOCUMENT).signers


def test_an_index_or_its_member_is_signed(keys: Keys) -> None:
    index, member = Document(b'{"manifests": []}'), DOCUMENT
    of_index, of_member = simple(keys.gpg, keys.good, NAME, index.raw), simple(keys.gpg, keys.good)
    wanted = rules(keys.requirement())
    assert trust.check(wanted, Source({digest(index.raw): [of_index]}), index, member).digest == digest(index.raw)
    assert trust.check(wanted, _source(of_member), index, member).digest == digest(MANIFEST)
    with pytest.raises(TrustError, match="none exists for " + digest(MANIFEST)):
        trust.check(wanted, Source({}), index, member)
    with pytest.raises(TrustError, match="none exists"):
        trust.check(wanted, _source(of_member), index)


def test_anything_accepted_asks_for_nothing() -> None:
    source = _source()
    assert trust.check(rules({"type": "insecureAcceptAnything"}), source, DOCUMENT).digest == digest(MANIFEST)
    assert not source.asked
    assert trust.check(rules({"type": "reject"}), Source({}, transport="containers-storage"), DOCUMENT)


def test_what_has_no_manifest() -> None:
    trust.allow(rules({"type": "insecureAcceptAnything"}, transport="tarball", scope=""), "tarball", "", "x.tar")
    for requirement, why in (({"type": "reject"}, "are refused"), ({"type": "sigstoreSigned", "keyPath": "/k"}, "no signature")):
        with pytest.raises(TrustError, match=why):
            trust.allow(rules(requirement, transport="tarball", scope=""), "tarball", "", "x.tar")


def test_signing_with_the_callers_gpg(keys: Keys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GNUPGHOME", str(keys.gpg.home))
    made = trust.sign(trust.Signers(sign_by="release@team.example"), NAME, digest(MANIFEST))
    assert trust.check(rules(keys.requirement()), _source(*made), DOCUMENT).signers
    with pytest.raises(TrustError, match="nobody@nowhere"):
        trust.sign(trust.Signers(sign_by="nobody@nowhere"), NAME, digest(MANIFEST))


def test_stored_signatures_come_back(keys: Keys) -> None:
    for one in (simple(keys.gpg, keys.good), Signature("sigstore", b"{}", (("a", "b"),))):
        assert blobs.decode(blobs.encode(one)) == one
    head = b"\0sigstore-json\n"
    for data in (b"", b"text", b"\0other\n{}", head + b"{}", b"\x80" * (blobs.MAX_SIGNATURE + 1), head + b"[" * 9999):
        with pytest.raises(InvalidInput):
            blobs.decode(data)

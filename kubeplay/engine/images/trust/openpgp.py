"""Simple signing's OpenPGP, done by gpg: in a private, temporary home that holds the policy's keys and nothing else.

gpg and not gpgv, because gpgv overlooks that a key is expired or revoked. gpg's own words are not believed but its status lines
(GnuPG's doc/DETAILS), and these must be exactly those of one good signature over one text.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from types import TracebackType

from kubeplay.engine.host import processes
from kubeplay.engine.images.trust.payload import MAX_PAYLOAD
from kubeplay.errors import InvalidInput, MissingPrerequisite, Timeout, TrustError
from kubeplay.record import Record

_SECONDS = 30.0  # a signature takes gpg 15 ms; what takes this long is made to take long
_QUIET = ("--batch", "--no-tty", "--no-options", "--no-autostart", "--disable-dirmngr", "--no-auto-key-retrieve", "--no-permission-warning")
_BROKEN_HASHES = {"1": "MD5", "2": "SHA-1", "3": "RIPEMD-160"}  # RFC 4880, 9.4
_FATAL = {
    "BADSIG": "the signature does not fit its content", "EXPSIG": "the signature has expired", "EXPKEYSIG": "the key has expired",
    "REVKEYSIG": "the key was revoked", "ERRSIG": "the key is not one of the policy's", "NO_PUBKEY": "the key is not one of the policy's",
    "DECRYPTION_INFO": "it is encrypted", "BEGIN_DECRYPTION": "it is encrypted", "NODATA": "it is no signed message",
    "UNEXPECTED": "it holds more than a signed message", "FAILURE": "gpg refuses it",
}  # fmt: skip


class Signed(Record):
    """A verified text and who signed it: the fingerprint of the primary key, and its user id for people (not verified)."""

    text: bytes
    fingerprint: str
    user: str = ""


class Keyring:
    """A gpg home with some public keys. Use as a context manager; `fingerprints` are the primary keys'."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._keys = tuple(keys)
        self._home = ""
        self.fingerprints: frozenset[str] = frozenset()

    def __enter__(self) -> Keyring:
        import tempfile

        self._home = tempfile.mkdtemp(prefix="kubeplay-gpg-")
        try:
            self.fingerprints = frozenset([fingerprint for key in self._keys for fingerprint in self._import(key)])
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        shutil.rmtree(self._home, ignore_errors=True)

    def verify(self, message: bytes) -> Signed:
        """The text of a signed message and its signer. Raises InvalidInput saying what is wrong with it."""
        if message[:1] < b"\x80":
            raise InvalidInput("it is no OpenPGP message")
        source, target = self._path("message"), self._path("text")
        self._write(source, message)
        _remove(target)
        limits = ("--trust-model", "always", "--max-output", str(MAX_PAYLOAD))
        status = self._gpg(*limits, "--output", target, "--verify", source)
        try:
            with open(target, "rb") as file:
                text = file.read(MAX_PAYLOAD + 1)
        except FileNotFoundError:
            text = b""
        return judge(status, text, self.fingerprints)

    def users(self) -> list[str]:
        """The user ids of the keys' owners, for listings."""
        found = processes.run([_program(), "--homedir", self._home, *_QUIET, "--with-colons", "--list-keys"], check=False, seconds=_SECONDS)
        rows = [line.split(":") for line in found.stdout.decode(errors="replace").splitlines()]
        return [row[9] for row in rows if row[0] == "uid" and len(row) > 9]

    def _import(self, key: bytes) -> list[str]:
        path = self._path("key")
        self._write(path, key)
        return [fields[1] for word, *fields in self._gpg("--import", path) if word == "IMPORT_OK" and len(fields) > 1]

    def _gpg(self, *arguments: str) -> list[list[str]]:
        """Run gpg; its status lines as words."""
        status = self._path("status")
        _remove(status)
        try:
            argv = [_program(), "--homedir", self._home, *_QUIET, "--status-file", status, *arguments]
            processes.run(argv, check=False, seconds=_SECONDS)
        except Timeout:
            raise InvalidInput(f"gpg did not come to an end with it within {_SECONDS:.0f} s") from None
        try:
            with open(status, encoding="utf-8", errors="replace", newline="\n") as file:
                lines = file.read(processes.OUTPUT_LIMIT).split("\n")
        except FileNotFoundError:
            return []
        return [line.split(" ")[1:] for line in lines if line.startswith("[GNUPG:] ")]

    def _path(self, name: str) -> str:
        return f"{self._home}/{name}"

    def _write(self, path: str, data: bytes) -> None:
        with open(path, "wb") as file:
            file.write(data)


def judge(status: Sequence[Sequence[str]], text: bytes, trusted: frozenset[str]) -> Signed:
    """What gpg's status lines say of a message. Pure. Raises InvalidInput."""
    words = [line[0] for line in status]
    for word in words:
        if word in _FATAL:
            raise InvalidInput(_FATAL[word] + _key(status))
    for word in ("NEWSIG", "GOODSIG", "VALIDSIG", "PLAINTEXT"):
        if words.count(word) != 1:
            raise InvalidInput("it is not one text with one signature")
    valid, good = status[words.index("VALIDSIG")], status[words.index("GOODSIG")]
    if len(valid) < 11:
        raise InvalidInput("gpg does not tell which key made the signature")
    if valid[9] != "00":  # RFC 4880, 5.2.1: a signature of a binary document
        raise InvalidInput(f"the signature is of class {valid[9]}, not one of a document")
    if valid[8] in _BROKEN_HASHES:
        raise InvalidInput(f"the signature uses {_BROKEN_HASHES[valid[8]]}, which is broken")
    if valid[10] not in trusted:
        raise InvalidInput(f"the key {valid[10]} is not one of the policy's")
    lengths = [line[1] for line in status if line[0] == "PLAINTEXT_LENGTH"]
    if not text or len(text) > MAX_PAYLOAD or (lengths and lengths != [str(len(text))]):
        raise InvalidInput(f"its text is empty or longer than {MAX_PAYLOAD} bytes")
    return Signed(text, valid[10], " ".join(good[2:]))


def _key(status: Sequence[Sequence[str]]) -> str:
    for word in ("ERRSIG", "BADSIG", "EXPKEYSIG", "REVKEYSIG", "EXPSIG"):
        for line in status:
            if line[0] == word and len(line) > 1:
                return f" (key {line[1]})"
    return ""


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


def _program() -> str:
    try:
        return processes.program("gpg")
    except MissingPrerequisite:
        raise TrustError("the trust policy asks for GPG signatures, and gpg is not installed", hint="apt-get install gnupg") from None

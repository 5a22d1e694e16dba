"""Where kubectl's YAML scanner and ours part, and how to make ours read the same.

kubectl's is a port of an early libyaml. In a flow collection it takes `a:` before a comma or bracket as part of a plain
scalar, where libyaml 0.2.5 stops with an error; a byte order mark inside of the text is a letter to it, where libyaml
skips one at the start of a line. Both are rare, so the text is changed only when met: the character becomes a stand-in
of the same width that no scanner treats specially, and the stand-in becomes the character again in the value.
"""

from __future__ import annotations

from typing import Any

# Private use, one for each character that has to be hidden from the scanner.
COLON, MARK = "\uf8f0", "\uf8f1"
_MARK = "\ufeff"
# Each round reads the text again to find one colon: a bound on the bytes read, far above any manifest's need.
MAX_READ = 4 * 1024 * 1024


def hide_marks(text: bytes) -> bytes:
    """The text with every byte order mark but a leading one hidden."""
    raw = text.decode("utf-8")
    return (raw[:1] + raw[1:].replace(_MARK, MARK)).encode("utf-8")


def needs_marks_hidden(text: bytes) -> bool:
    """Whether there is a byte order mark that is not at the start."""
    return text.find(b"\xef\xbb\xbf", 3) >= 0


def hide_colon(text: bytes, error: Any) -> bytes | None:
    """The text with the colon hidden that `error` complains of; None if it complains of something else."""
    if getattr(error, "problem", "") != "found unexpected ':'" or error.problem_mark is None:
        return None
    raw = text.decode("utf-8")
    index = error.problem_mark.index
    # The parser's marks do not count a leading byte order mark.
    index += raw.startswith(_MARK)
    if raw[index : index + 1] != ":":
        return None
    return (raw[:index] + COLON + raw[index + 1 :]).encode("utf-8")


def restore(text: str) -> str:
    """The value that a scanned text stands for."""
    return text.replace(COLON, ":").replace(MARK, _MARK)


def restored(value: Any) -> Any:
    """A composed value with all its texts restored."""
    if isinstance(value, str):
        return restore(value)
    if isinstance(value, list):
        return [restored(item) for item in value]
    if isinstance(value, dict):
        return {restore(key): restored(item) for key, item in value.items()}
    return value

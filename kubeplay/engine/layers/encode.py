"""Tar headers from entries: ustar where it is enough, else a PAX extended header in front, as Go's archive/tar writes.

Pure. Names of owners are left empty and nothing depends on the clock, so equal entries give equal bytes.
"""

from __future__ import annotations

from zlib import adler32

from kubeplay.engine.layers.tar import BLOCK, Entry
from kubeplay.errors import InvalidInput

END = b"\0" * (2 * BLOCK)
_NAME, _PREFIX = 100, 155
_MAX_ID = 0o7777777  # seven octal digits
_MAX_LONG = 0o77777777777  # eleven


def header(entry: Entry) -> bytes:
    """All blocks in front of the entry's `size` bytes of content; for a sparse file (PAX format 1.0) its map too.

    Raises InvalidInput for a value that no tar header can hold.
    """
    seconds, nanos = divmod(entry.mtime, 1_000_000_000)
    if _is_plain(entry) and not nanos and 0 <= seconds <= _MAX_LONG:
        return _block(entry.name, entry.type, entry.mode, entry.uid, entry.gid, entry.size, seconds)
    records: list[tuple[bytes, bytes]] = [(b"SCHILY.xattr." + name, value) for name, value in entry.xattrs]
    name, size, extra = entry.name, entry.size, b""
    if entry.sparse is not None:
        extra = _map(entry.sparse)
        size += len(extra)
        records += [(b"GNU.sparse.major", b"1"), (b"GNU.sparse.minor", b"0"), (b"GNU.sparse.realsize", b"%d" % entry.real_size)]
        records.append((b"GNU.sparse.name", name))
        name = _beside(name, b"GNUSparseFile.0")
    prefix = b""
    if len(name) > _NAME or not name.isascii():
        prefix, name = _split(name)
        if not name:
            name = entry.name
            if entry.sparse is None:  # else GNU.sparse.name says it
                records.append((b"path", name))
            name = _plain(name)
    link = entry.link
    if len(link) > _NAME or not link.isascii():
        records.append((b"linkpath", link))
        link = _plain(link)
    if nanos or not 0 <= seconds <= _MAX_LONG:
        records.append((b"mtime", _time(entry.mtime)))
        seconds = 0
    uid, gid = _owner(records, b"uid", entry.uid), _owner(records, b"gid", entry.gid)
    long_size = size
    if size > _MAX_LONG:
        records.append((b"size", b"%d" % size))
        long_size = 0
    device = (entry.major, entry.minor) if entry.type in b"34" else (0, 0)
    if max(device) > _MAX_ID:
        raise InvalidInput(f"device number {device[0]}:{device[1]} does not fit a tar header")
    block = _block(name, entry.type, entry.mode, uid, gid, long_size, seconds, link, device, prefix)
    return (_extended(entry.name, records) + block + extra) if records else block + extra


def _is_plain(entry: Entry) -> bool:
    """Whether nothing but numbers and a short name is to be written: nearly always."""
    return (
        (entry.type == b"0" or entry.type == b"5")
        and not entry.xattrs
        and entry.sparse is None
        and len(entry.name) <= _NAME
        and entry.name.isascii()
        and entry.uid <= _MAX_ID
        and entry.gid <= _MAX_ID
        and entry.size <= _MAX_LONG
    )


def _block(
    name: bytes, kind: bytes, mode: int, uid: int, gid: int, size: int, mtime: int,
    link: bytes = b"", device: tuple[int, int] = (0, 0), prefix: bytes = b"",
) -> bytes:  # fmt: skip
    start = b"%s%07o\0%07o\0%07o\0%011o\0%011o\0" % (name.ljust(_NAME, b"\0"), mode, uid, gid, size, mtime)
    end = b"%s%sustar\x0000%s%07o\0%07o\0%s" % (kind, link.ljust(_NAME, b"\0"), b"\0" * 64, *device, prefix.ljust(_PREFIX + 12, b"\0"))
    # adler32's low half is 1 + the sum modulo 65521; 512 ASCII bytes sum to less
    return b"%s%06o\0 %s" % (start, (adler32(start + b" " * 8 + end) & 0xFFFF) - 1, end)


def _extended(name: bytes, records: list[tuple[bytes, bytes]]) -> bytes:
    data = b"".join([_record(key, value) for key, value in sorted(records)])
    block = _block(_plain(_beside(name, b"PaxHeaders.0")), b"x", 0o644, 0, 0, len(data), 0)
    return block + data + b"\0" * (-len(data) % BLOCK)


def _record(key: bytes, value: bytes) -> bytes:
    """`LENGTH KEY=VALUE\\n`, where LENGTH counts its own digits."""
    rest = len(key) + len(value) + 3
    length = rest + len(b"%d" % rest)
    if len(b"%d" % length) + rest != length:
        length += 1
    return b"%d %s=%s\n" % (length, key, value)


def _owner(records: list[tuple[bytes, bytes]], key: bytes, value: int) -> int:
    if value <= _MAX_ID:
        return value
    records.append((key, b"%d" % value))
    return 0


def _time(nanoseconds: int) -> bytes:
    sign = b"-" if nanoseconds < 0 else b""
    whole, part = divmod(abs(nanoseconds), 1_000_000_000)
    return b"%s%d%s" % (sign, whole, (b".%09d" % part).rstrip(b"0") if part else b"")


def _map(segments: tuple[tuple[int, int], ...]) -> bytes:
    text = b"%d\n%s" % (len(segments), b"".join([b"%d\n%d\n" % segment for segment in segments]))
    return text + b"\0" * (-len(text) % BLOCK)


def _split(name: bytes) -> tuple[bytes, bytes]:
    """(prefix, name) of a long name that ustar can hold in two parts, else empty ones."""
    if name.isascii():
        at = name.find(b"/", max(0, len(name) - _NAME - 1))
        if 0 < at <= _PREFIX and at < len(name) - 1:
            return name[:at], name[at + 1 :]
    return b"", b""


def _beside(name: bytes, directory: bytes) -> bytes:
    parent, _, base = name.rstrip(b"/").rpartition(b"/")
    return b"/".join(part for part in (parent, directory, base) if part)


def _plain(name: bytes) -> bytes:
    """What an unaware reader sees: ASCII, cut short. A trailing slash would make a directory of it."""
    return bytes(byte for byte in name if byte < 128)[:_NAME].rstrip(b"/")

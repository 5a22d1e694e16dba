"""Read tar headers: ustar, old V7, PAX (POSIX.1-2001 pax(1)), GNU long names and sparse files, base-256 numbers.

Everything is bytes: names in a layer need not be UTF-8. Nothing here touches the file system; whether a
name is acceptable is for the reader's user to say. Where dialects leave room we read as Go's archive/tar
does, because docker and podman wrote what we read: global PAX headers are skipped, a size on an entry
that has no content (link, directory, device) is ignored.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator
from typing import Any, Protocol
from zlib import adler32

from kubeplay.errors import InvalidInput
from kubeplay.record import Record

BLOCK = 512
_ZERO = b"\0" * BLOCK
_MAX_EXTENSION = 1 << 20  # bytes of one PAX or long-name record: Go's archive/tar maxSpecialFileSize
_MAX_SPARSE = 1 << 16  # data segments of one sparse file; GNU tar needs 24 bytes for each
_HEADER = struct.Struct("100s8s8s8s12s12s8sc100s6s2s32s32s8s8s155s12s")
# A file's or directory's header without peculiarities: name, three owner fields, size, time, checksum, type; no prefix,
# not star's (which ends in tar\0).
_PLAIN = re.compile(
    rb"(?s)(?=([^\0]{1,100})).{100}(.{24})([0-7]{11})[\0 ]([0-7]{11})[\0 ]([0-7]{6})[\0 ]{2}([05]).{100}ustar.{83}\0.{162}(?!tar\0).{4}"
).match
_HEADER_ONLY = b"123456"  # link, symlink, char, block, directory, fifo


class Entry(Record):
    """One member. `type` is the typeflag (b"0" for every kind of regular file); `size` bytes follow in the archive.

    `mtime` is in nanoseconds; `sparse` lists (offset, length) of the data when the file has holes, and
    `real_size` is then its logical size (else equal to size).
    """

    name: bytes
    type: bytes
    mode: int
    uid: int
    gid: int
    mtime: int
    size: int
    link: bytes
    major: int
    minor: int
    xattrs: tuple[tuple[bytes, bytes], ...]
    sparse: tuple[tuple[int, int], ...] | None
    real_size: int


_entry_of: Any = tuple.__new__  # what the class's constructor comes to, without its checks


class Feed(Protocol):
    """Where the archive's bytes come from. `take` raises InvalidInput when fewer than `count` are left.

    `ready` says how many bytes can be had without waiting for more.
    """

    def take(self, count: int) -> bytes: ...

    def skip(self, count: int) -> None: ...

    def pieces(self, count: int) -> Iterator[memoryview]: ...

    def peek(self, offset: int, count: int) -> bytes: ...

    def at_end(self) -> bool: ...

    def ready(self) -> int: ...


class Window:
    """A Feed's bytes that lie in memory: `chunk`, from `at` on."""

    chunk: bytes
    view: memoryview  # of chunk
    at: int


Make = Callable[[bytes, tuple[int, int, int], int, memoryview], bool]  # name, (mode, uid, gid), mtime in ns, content


class TarReader:
    """Members of one archive, in order.

    `record`, when given, receives every byte that is not content of a regular file; together with the
    files those bytes give back the identical archive (docs/decisions/0101-images.md).
    """

    def __init__(self, feed: Feed, record: Callable[[bytes], object] | None = None) -> None:
        self._feed = feed
        self._record = record
        self._window = feed if isinstance(feed, Window) else None
        self._left = 0  # content of the current entry not read yet
        self._padding = 0

    def next(self) -> Entry | None:
        """The next member, or None at the end of the archive."""
        quick = self._quick()
        if quick is not None:
            return quick
        pax: dict[bytes, bytes] = {}
        segments: list[tuple[int, int]] = []
        long_name = long_link = b""
        while True:
            self._finish()
            block = self._block()
            if block is None:
                return None
            field = _HEADER.unpack(block)
            kind = field[7]
            if kind in b"xgLK" and kind != b"\0":
                data = self._extension(_number(field[4]))
                if kind == b"x":
                    pax, segments = _pax(data)
                elif kind == b"L":
                    long_name = data.split(b"\0", 1)[0]
                elif kind == b"K":
                    long_link = data.split(b"\0", 1)[0]
                continue
            return self._entry(block, field, pax, segments, long_name, long_link)

    def _quick(self) -> Entry | None:
        """The next member when it is a file or directory with a plain ustar or GNU header, as nearly all are.

        Reads nothing otherwise. A quarter of the time per member of the general way: layers of 100,000 files exist.
        """
        feed, padding = self._feed, self._padding
        if self._left or feed.ready() < padding + BLOCK:
            return None
        block = feed.peek(padding, BLOCK)
        match = _PLAIN(block)
        if match is None:
            return None
        name, ids, size_digits, time_digits, sum_digits, kind = match.groups()
        right = (1 + int(sum_digits, 8)) % 65521
        if adler32(block[:148] + b"        " + block[156:]) & 0xFFFF != right or kind == b"0" and name[-1:] == b"/":
            return None  # the general way says what is wrong
        owner = _owners.get(ids)
        if owner is None:
            if len(_owners) > 1000:
                _owners.clear()
            owner = _owners[ids] = (_number(ids[:8]) & 0o7777, _number(ids[8:16]), _number(ids[16:]))
        self._take(padding + BLOCK)
        size = int(size_digits, 8) if kind == b"0" else 0
        self._left, self._padding = size, -size % BLOCK
        found: Entry = _entry_of(Entry, (name, kind, *owner, int(time_digits, 8) * 1_000_000_000, size, b"", 0, 0, (), None, size))
        return found

    def whole(self) -> memoryview | None:
        """The current member's content, all of it, when it can be had without waiting; valid until the next member."""
        left = self._left
        if self._feed.ready() < left:
            return None
        self._left = 0
        return next(self._feed.pieces(left))

    def burst(self, make: Make) -> int:
        """Give `make` the members that come now while they are plain files that lie in memory whole; how many it took.

        One that `make` returns False for is left to next(). A third of the time per file of next() and its user.
        """
        window, record = self._window, self._record
        if window is None or self._left:
            return 0
        chunk, view, at, padding, taken = window.chunk, window.view, window.at, self._padding, 0
        try:
            while (match := _PLAIN(chunk, at + padding)) is not None:
                name, ids, size_digits, time_digits, sum_digits, kind = match.groups()
                start = match.end()
                end = start + int(size_digits, 8)
                owner = _owners.get(ids)
                if kind != b"0" or end > len(chunk) or owner is None or name[-1:] == b"/":
                    break
                head = start - BLOCK
                right = (1 + int(sum_digits, 8)) % 65521
                if adler32(chunk[head : head + 148] + b"        " + chunk[head + 156 : start]) & 0xFFFF != right:
                    break
                if not make(name, owner, int(time_digits, 8) * 1_000_000_000, view[start:end]):
                    break
                if record:
                    record(chunk[at:start])
                at, padding = end, (start - end) % BLOCK
                taken += 1
        finally:
            window.at, self._padding = at, padding
        return taken

    def content(self) -> Iterator[memoryview]:
        """What is left of the current member's bytes, in pieces valid until the next one."""
        left, self._left = self._left, 0
        return self._feed.pieces(left)

    def _block(self) -> bytes | None:
        if self._feed.at_end():
            return None
        block = self._take(BLOCK)
        if block == _ZERO:
            if not self._feed.at_end() and self._take(BLOCK) != _ZERO:
                raise InvalidInput("damaged tar archive: a header follows a lone zero block")
            return None
        _verify(block)
        return block

    def _entry(
        self,
        block: bytes,
        field: tuple[bytes, ...],
        pax: dict[bytes, bytes],
        segments: list[tuple[int, int]],
        long_name: bytes,
        long_link: bytes,
    ) -> Entry:
        name = field[0].split(b"\0", 1)[0]
        kind = field[7]
        if field[9] == b"ustar\0":
            prefix = block[345:476] if block[508:512] == b"tar\0" else field[15]  # star keeps times after a shorter prefix
            prefix = prefix.split(b"\0", 1)[0]
            name = prefix + b"/" + name if prefix else name
        name = pax.get(b"path") or long_name or name
        link = pax.get(b"linkpath") or long_link or field[8].split(b"\0", 1)[0]
        if kind in b"\0" b"07":
            kind = b"5" if name.endswith(b"/") else b"0"  # V7 marks a directory by its name
        size = 0 if kind in _HEADER_ONLY else _pax_number(pax, b"size", field[4])
        if size < 0:
            raise InvalidInput(f"damaged tar archive: {show(name)} has a negative size")
        self._left, self._padding = size, -size % BLOCK
        sparse: tuple[tuple[int, int], ...] | None = None
        real_size = size
        if kind == b"S":
            kind = b"0"
            real_size = _number(block[483:495])
            sparse = self._gnu_sparse(block)
        elif pax and (b"GNU.sparse.major" in pax or segments or b"GNU.sparse.map" in pax):
            name = pax.get(b"GNU.sparse.name", name)
            real_size = _decimals([pax.get(b"GNU.sparse.realsize") or pax.get(b"GNU.sparse.size") or b"0"])[0]
            sparse = self._pax_sparse(pax, segments)
        if sparse is not None:
            _check_sparse(name, sparse, self._left, real_size)
        has_device = kind in b"34"
        return Entry(
            name, kind, _number(field[1]) & 0o7777,
            _pax_number(pax, b"uid", field[2]), _pax_number(pax, b"gid", field[3]), _pax_time(pax, field[5]),
            self._left, link,
            _number(field[13]) if has_device else 0, _number(field[14]) if has_device else 0,
            _xattrs(pax) if pax else (), sparse, real_size,
        )

    def _take(self, count: int) -> bytes:
        data = self._feed.take(count)
        if self._record:
            self._record(data)
        return data

    def _extension(self, size: int) -> bytes:
        if not 0 <= size <= _MAX_EXTENSION:
            raise InvalidInput(f"tar header extension of {size} bytes (the limit is {_MAX_EXTENSION})")
        return self._take(size + -size % BLOCK)[:size]

    def _finish(self) -> None:
        if self._left:
            self._feed.skip(self._left)
            self._left = 0
        if self._padding:
            self._take(self._padding)
            self._padding = 0

    def _gnu_sparse(self, block: bytes) -> tuple[tuple[int, int], ...]:
        """The old GNU map: four segments in the header, then blocks of 21 while the extended flag is set (tar(5))."""
        found = _gnu_segments(block[386:482])
        extended = block[482]
        while extended:
            more = self._take(BLOCK)
            found += _gnu_segments(more[:504])
            extended = more[504]
            if len(found) > _MAX_SPARSE:
                raise InvalidInput(f"sparse file with more than {_MAX_SPARSE} segments in a tar archive")
        return tuple(found)

    def _pax_sparse(self, pax: dict[bytes, bytes], segments: list[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
        """Formats 0.0 (repeated records), 0.1 (one record) and 1.0 (a map in front of the data)."""
        if pax.get(b"GNU.sparse.major") == b"1":
            return self._sparse_map()
        if b"GNU.sparse.map" in pax:
            numbers = _decimals(pax[b"GNU.sparse.map"].split(b","))
            if len(numbers) % 2:
                raise InvalidInput("damaged sparse map in a tar archive")
            return tuple(zip(numbers[::2], numbers[1::2]))
        return tuple(segments)

    def _sparse_map(self) -> tuple[tuple[int, int], ...]:
        text = b""
        wanted = 1
        while text.count(b"\n") < wanted:
            if self._left < BLOCK or len(text) > _MAX_EXTENSION:
                raise InvalidInput("damaged sparse map in a tar archive")
            text += self._take(BLOCK)
            self._left -= BLOCK
            if wanted == 1 and b"\n" in text:
                count = _decimals([text.split(b"\n", 1)[0]])[0]
                if count > _MAX_SPARSE:
                    raise InvalidInput(f"sparse file with more than {_MAX_SPARSE} segments in a tar archive")
                wanted = 1 + 2 * count
        numbers = _decimals(text.split(b"\n")[1:wanted])
        return tuple(zip(numbers[::2], numbers[1::2]))


def _verify(block: bytes) -> None:
    """The header's checksum: the sum of its bytes with the checksum field read as eight spaces.

    adler32's low half is 1 + the sum modulo 65521, twenty times faster than summing in Python.
    """
    stored = _number(block[148:156])
    blanked = block[:148] + b"        " + block[156:]
    if (adler32(blanked) & 0xFFFF) == (1 + stored) % 65521:
        return
    if sum(struct.unpack("512b", blanked)) != stored:  # some old tars summed signed characters
        raise InvalidInput("damaged tar archive: a header's checksum is wrong")


_owners: dict[bytes, tuple[int, int, int]] = {}  # mode, uid and gid fields seen lately: they repeat


def _number(field: bytes) -> int:
    """An octal field, or base-256 when its first bit is set (GNU: uids and sizes that do not fit)."""
    if field[0] & 0x80:
        value = int.from_bytes(field, "big", signed=False) & ((1 << (len(field) * 8 - 1)) - 1)
        if field[0] & 0x40:
            value -= 1 << (len(field) * 8 - 1)
        return value
    text = field.split(b"\0", 1)[0].strip()
    try:
        return int(text, 8) if text else 0
    except ValueError:
        raise InvalidInput(f"damaged tar archive: {show(field)} is not a number") from None


def _pax(data: bytes) -> tuple[dict[bytes, bytes], list[tuple[int, int]]]:
    """Records `LENGTH KEY=VALUE\\n`; GNU.sparse 0.0 repeats two of them, so they are collected apart."""
    records: dict[bytes, bytes] = {}
    segments: list[tuple[int, int]] = []
    offset, position = 0, 0
    while position < len(data):
        space = data.find(b" ", position, position + 20)
        length = _decimals([data[position:space]])[0] if space > 0 else 0
        record = data[space + 1 : position + length]
        key, equals, value = record[:-1].partition(b"=")
        if length < 5 or position + length > len(data) or record[-1:] != b"\n" or not equals or not key:
            raise InvalidInput("damaged tar archive: malformed PAX header")
        if b"\0" in value and not key.startswith(b"SCHILY.xattr."):
            raise InvalidInput("damaged tar archive: NUL in a PAX header")
        position += length
        if key == b"GNU.sparse.offset":
            offset = _decimals([value])[0]
        elif key == b"GNU.sparse.numbytes":
            segments.append((offset, _decimals([value])[0]))
        else:
            records[key] = value
    return records, segments


def _pax_number(pax: dict[bytes, bytes], key: bytes, field: bytes) -> int:
    if pax and key in pax:
        return _decimals([pax[key]])[0]
    return _number(field)


def _pax_time(pax: dict[bytes, bytes], field: bytes) -> int:
    """Nanoseconds; a PAX time has a fraction of any length."""
    if not pax or b"mtime" not in pax:
        return _number(field) * 1_000_000_000
    whole, _, fraction = pax[b"mtime"].partition(b".")
    nanos = _decimals([(fraction + b"000000000")[:9]])[0]
    seconds = _decimals([whole.lstrip(b"-") or b"0"])[0] * 1_000_000_000 + nanos
    return -seconds if whole.startswith(b"-") else seconds


def _xattrs(pax: dict[bytes, bytes]) -> tuple[tuple[bytes, bytes], ...]:
    return tuple((key[13:], value) for key, value in pax.items() if key.startswith(b"SCHILY.xattr."))


def _gnu_segments(field: bytes) -> list[tuple[int, int]]:
    found = []
    for start in range(0, len(field), 24):
        length = _number(field[start + 12 : start + 24])
        if length or field[start : start + 12].strip(b"\0 "):
            found.append((_number(field[start : start + 12]), length))
    return found


def _check_sparse(name: bytes, segments: tuple[tuple[int, int], ...], size: int, real_size: int) -> None:
    """Segments in order, inside the file, and exactly as long as the data that follows."""
    end = total = 0
    for offset, length in segments:
        if offset < end or length < 0:
            raise InvalidInput(f"damaged tar archive: the sparse map of {show(name)} overlaps itself")
        end, total = offset + length, total + length
    if total != size or end > real_size:
        raise InvalidInput(f"damaged tar archive: the sparse map of {show(name)} does not fit its data")


def _decimals(texts: list[bytes]) -> list[int]:
    found = []
    for text in texts:
        if not text.isdigit() or len(text) > 20:  # 2**64 has twenty digits
            raise InvalidInput(f"damaged tar archive: {show(text)} is not a number")
        found.append(int(text))
    return found


def show(name: bytes) -> str:
    """A hostile name for a message: escaped and short."""
    return repr(name[:200].decode("utf-8", "backslashreplace"))

"""Follow the frames of zstd data (RFC 8878 3.1) to know whether it ends where a frame ends.

python-zstandard's reader does not tell: data that is cut off looks to it as if it were all there.
"""

from __future__ import annotations

from collections.abc import Generator

from kubeplay.errors import InvalidInput

_MAGIC = b"\x28\xb5\x2f\xfd"
_RLE, _RESERVED = 1, 3
_Steps = Generator[int, bytes, None]


class Frames:
    """Given all the data piece by piece, `between` is true where a frame has ended and none has begun."""

    def __init__(self) -> None:
        self._steps = self._walk()
        self._wanted = next(self._steps)
        self._head = b""
        self._skip = 0
        self._in_frame = False

    @property
    def between(self) -> bool:
        return not (self._in_frame or self._head or self._skip)

    def feed(self, data: bytes) -> None:
        """Raises InvalidInput for what is no zstd data."""
        at, end = 0, len(data)
        while at < end:
            if self._skip:
                step = min(self._skip, end - at)
                self._skip -= step
            else:
                step = min(self._wanted - len(self._head), end - at)
                self._head += data[at : at + step]
                if len(self._head) == self._wanted:
                    head, self._head = self._head, b""
                    self._wanted = self._steps.send(head)
            at += step

    def _walk(self) -> _Steps:
        """Yields how many bytes it wants to see next; sets how many after those do not matter."""
        while True:
            magic = yield 4
            self._in_frame = True
            if magic == _MAGIC:
                yield from self._frame()
            elif magic[1:] == b"*M\x18" and magic[0] & 0xF0 == 0x50:
                self._skip = int.from_bytes((yield 4), "little")
            else:
                raise InvalidInput("damaged zstd data: something else follows a frame")
            self._in_frame = False

    def _frame(self) -> _Steps:
        descriptor = (yield 1)[0]
        single, dictionary = descriptor >> 5 & 1, (0, 1, 2, 4)[descriptor & 3]
        content = (single, 2, 4, 8)[descriptor >> 6]
        self._skip = (1 - single) + dictionary + content
        last = 0
        while not last:
            block = int.from_bytes((yield 3), "little")
            last, kind, size = block & 1, block >> 1 & 3, block >> 3
            if kind == _RESERVED:
                raise InvalidInput("damaged zstd data: a reserved kind of block")
            self._skip = 1 if kind == _RLE else size
        self._skip += 4 * (descriptor >> 2 & 1)  # the checksum

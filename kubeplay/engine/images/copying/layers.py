"""The layers of one image into the depot: side by side, those that are here skipped, each blob downloaded by one process at a time."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from kubeplay.engine.host import faults
from kubeplay.engine.images.copying.blobs import BlobRoom, Part
from kubeplay.engine.images.copying.progress import BLOB, BYTES, DONE, FAILED, SKIPPED, START, WAITING, Progress, Report
from kubeplay.engine.images.descriptor import Descriptor
from kubeplay.engine.images.transports.base import ImageSource, Reader
from kubeplay.engine.images.transports.local import LocalSource
from kubeplay.engine.layers.stream import PLAIN, Blob, Incoming, Stream
from kubeplay.engine.store.images import BlobRow
from kubeplay.errors import Exhausted, Interrupted, InvalidInput, RegistryError

if TYPE_CHECKING:
    from kubeplay.engine.layers.depot import Depot

PARALLEL = 3  # layers at a time, as docker has it; containers/image takes 6
_MOST_PARALLEL = 32
_RESUMES = 3  # times that a download goes on after the connection broke without a single byte in between


class Layers:
    """Brings the layers of one image. `keep`: compressed blobs are kept, for pushing them on as they came."""

    def __init__(self, depot: Depot, blobs: BlobRoom, source: ImageSource, report: Report, keep: bool) -> None:
        self._depot, self._blobs, self._source, self._report, self._keep = depot, blobs, source, report, keep
        self._stop = threading.Event()
        self._rows: list[BlobRow] = []

    def bring(self, wanted: Sequence[tuple[Descriptor, str]], side_by_side: int) -> list[BlobRow]:
        """All of `wanted`, (blob, diff id) pairs; what is known of their blobs. The first failure stops the others and is raised.

        The caller holds both rooms' locks shared. Raises InvalidInput, RegistryError, Exhausted, StoreError.
        """
        once = list({diff_id: (blob, diff_id) for blob, diff_id in reversed(wanted)}.values())[::-1]
        if side_by_side <= 1 or len(once) == 1:
            for blob, diff_id in once:
                self._one(blob, diff_id)
            return self._rows
        from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait

        failure: BaseException | None = None
        whole = False
        with ThreadPoolExecutor(side_by_side, "layer") as pool:
            try:
                futures = [pool.submit(self._one, blob, diff_id) for blob, diff_id in once]
                done, rest = wait(futures, return_when=FIRST_EXCEPTION)
                failure = next((error for future in futures if future in done and (error := future.exception())), None)
                whole = not rest
            finally:
                self._stop.set()
                if not whole and not isinstance(self._source, LocalSource):
                    self._source.close()  # ends reads that wait for the other side
                pool.shutdown(wait=True, cancel_futures=True)
        if failure is not None:
            raise failure
        return self._rows

    def _one(self, blob: Descriptor, diff_id: str) -> None:
        if self._stop.is_set():
            raise Interrupted("stopped")
        try:
            if self._depot.has(diff_id):
                self._is_here(blob, diff_id)
                self._tell(blob, SKIPPED)
            elif isinstance(self._source, LocalSource) and (not self._keep or self._source.made_up or blob.digest == diff_id):
                self._tell(blob, START)
                self._depot.add(self._source.place(blob), diff_id)
                self._tell(blob, DONE, blob.size)
            elif self._keep and blob.digest != diff_id:
                self._download(blob, diff_id)
            else:
                self._stream(blob, diff_id)
        except BaseException as error:
            self._tell(blob, FAILED)
            if isinstance(error, InvalidInput) and blob.digest not in error.message and diff_id not in error.message:
                error.message = f"layer {blob.digest}: {error.message}"
            raise

    def _is_here(self, blob: Descriptor, diff_id: str) -> None:
        """The layer is in the depot. Its blob may be known, or have been left by a killed pull between two renames."""
        if blob.digest == diff_id or not self._keep:
            return
        if self._blobs.has(blob.digest) or (self._blobs.has_part(blob.digest) and self._adopt(blob)):
            self._known_anew(blob, diff_id)

    def _adopt(self, blob: Descriptor) -> bool:
        """A download whose layer is here: whole and right it becomes the blob, else it goes."""
        with self._blobs.claim(blob.digest, check=self.check) as part:
            if part.have == blob.size and part.digest() == blob.digest:
                self._blobs.complete(part, blob.digest)
                return True
            part.forget()
            return self._blobs.has(blob.digest)  # somebody else was at it

    def _known_anew(self, blob: Descriptor, diff_id: str) -> None:
        """Note a blob that this pull did not unpack: the manifest's word alone would let it pass another blob off as the layer, which a
        push of any image with that layer would then send. Raises InvalidInput."""
        meta = self._depot.meta(diff_id)
        compression = meta.compression if meta.blob == blob.digest else self._unpacks(blob, diff_id)
        self._known(blob, diff_id, compression)

    def _unpacks(self, blob: Descriptor, diff_id: str) -> str:
        """How a stored blob is packed, once it is seen that the layer is in it."""
        stored = self._blobs.open(blob.digest)
        if stored is None:
            raise InvalidInput(f"the blob {blob.digest} has just been removed", hint="try again")
        try:
            with Stream(stored) as stream:
                actual = stream.finish()
                compression = stream.compression
        finally:
            os.close(stored.fd)
        if actual != diff_id:
            message = f"layer {diff_id}: its blob {blob.digest} unpacks to {actual}"
            raise InvalidInput(message, hint="the image is damaged or was tampered with")
        return compression

    def _known(self, blob: Descriptor, diff_id: str, compression: str) -> None:
        self._rows.append(BlobRow(diff_id, blob.digest, blob.size, compression))

    def _stream(self, blob: Descriptor, diff_id: str) -> None:
        """A blob that is not kept: nothing of it lies on disk, so a broken connection goes on in memory only."""
        self._tell(blob, START)
        with self._blobs.claim(blob.digest, lambda: self._tell(blob, WAITING), self.check) as part:
            if not self._depot.has(diff_id):
                reader = _Download(self, self._source, blob, part, keep=False)
                try:
                    self._depot.add(Incoming(reader, blob.size, blob.digest), diff_id)
                finally:
                    reader.close()
        self._tell(blob, DONE, blob.size)

    def _download(self, blob: Descriptor, diff_id: str) -> None:
        with self._blobs.claim(blob.digest, lambda: self._tell(blob, WAITING), self.check) as part:
            if self._depot.has(diff_id):  # the one we waited for brought it
                if self._blobs.has(blob.digest):
                    self._known_anew(blob, diff_id)
                self._tell(blob, SKIPPED)
                return
            self._tell(blob, START)
            faults.point("pull:claimed")
            compression = self._unpack_once_more(blob, diff_id, part)
            faults.point("pull:unpacked")
            if compression == PLAIN or blob.digest == diff_id:
                part.discard()
            else:
                self._blobs.complete(part, blob.digest)
            self._known(blob, diff_id, compression)
            faults.point("pull:blob")
        self._tell(blob, DONE, blob.size)

    def _unpack_once_more(self, blob: Descriptor, diff_id: str, part: Part) -> str:
        """As `_unpack`; where an earlier try had left something, that may have been damaged by a power cut: then all is fetched anew."""
        resumed = part.have > 0
        while True:
            try:
                return self._unpack(blob, diff_id, part)
            except _Damaged as damage:
                part.forget()
                if not resumed:
                    raise damage.error from None
                resumed = False
            except Exhausted:
                part.forget()  # half a blob would keep the disk full
                raise

    def _unpack(self, blob: Descriptor, diff_id: str, part: Part) -> str:
        stored = self._blobs.open(blob.digest)
        if stored is not None:
            return self._unpack_stored(stored, diff_id)
        if part.have > blob.size:
            part.forget()
        reader = _Download(self, self._source, blob, part)
        try:
            return self._depot.add(Incoming(reader, blob.size, blob.digest), diff_id).compression
        except InvalidInput as error:
            if reader.short:
                raise  # what came is good as far as it goes
            raise _Damaged(error) from error
        finally:
            reader.close()

    def _unpack_stored(self, stored: Blob, diff_id: str) -> str:
        try:
            return self._depot.add(stored, diff_id).compression
        finally:
            os.close(stored.fd)

    def check(self) -> None:
        if self._stop.is_set():
            raise Interrupted("stopped, because another layer failed")

    def _tell(self, blob: Descriptor, state: str, done: int = 0) -> None:
        self._report(Progress(BLOB, blob.digest, state, done, blob.size))

    def progressed(self, blob: Descriptor, done: int) -> None:
        self._tell(blob, BYTES, done)


def parallel() -> int:
    """How many layers are copied at a time: KUBEPLAY_IMAGE_PARALLEL_COPIES (containers.conf calls it image_parallel_copies), or 3."""
    given = os.environ.get("KUBEPLAY_IMAGE_PARALLEL_COPIES", "")
    if not given:
        return PARALLEL
    if not given.isdigit() or not 0 < int(given) <= _MOST_PARALLEL:
        raise InvalidInput(f"KUBEPLAY_IMAGE_PARALLEL_COPIES={given[:50]!r}: must be 1 to {_MOST_PARALLEL}")
    return int(given)


class _Damaged(InvalidInput):
    """The bytes that came, or the beginning of them that lay here, are not what they should be."""

    def __init__(self, error: InvalidInput) -> None:
        super().__init__(error.message, error.faults, hint=error.hint)
        self.error = error


class _Download:
    """A Reader: first what an earlier try left in the part, then the source's bytes, which are added to the part.

    When the connection breaks it is opened again where it broke.
    """

    def __init__(self, layers: Layers, source: ImageSource, blob: Descriptor, part: Part, keep: bool = True) -> None:
        self._layers, self._source, self._blob, self._part, self._keep = layers, source, blob, part, keep
        self._at = 0
        self._reader: Reader | None = None
        self.short = False  # the source ended too early

    def read(self, count: int, /) -> bytes:
        self._layers.check()
        data = self._part.read(count, self._at) if self._at < self._part.have else self._fetch(count)
        self._at += len(data)
        self._layers.progressed(self._blob, self._at)
        return data

    def _fetch(self, count: int) -> bytes:
        if self._at >= self._blob.size:
            return b""
        for attempt in range(_RESUMES + 1):
            try:
                if self._reader is None:
                    self._reader = self._source.blob(self._blob, self._at)
                data = self._reader.read(count)
            except RegistryError as error:
                if attempt == _RESUMES or error.status:
                    raise
                data = b""
            if data:
                if self._keep:
                    self._part.write(data)
                    faults.point("pull:bytes")
                return data
            self.close()
            if attempt < _RESUMES:
                time.sleep(0.2 * attempt)
                self._layers.check()
        self.short = True
        return b""  # the depot says by how much

    def close(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None

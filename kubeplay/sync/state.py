"""What outlives a sync's process, below root/sync/NAME: how far it has come, what runs (status.json, good.json), and the fetched objects.

good.json is what the stack is brought back to while the source's newest state is bad or out of reach. It may hold Secrets: 0600.
"""

from __future__ import annotations

import json
import os
import signal

from kubeplay.engine.host import processes
from kubeplay.engine.host.paths import Paths
from kubeplay.engine.store.locks import Lock
from kubeplay.errors import Conflict, NotFound, Timeout
from kubeplay.sync import model
from kubeplay.sync.model import Built, Spec, Status

END_SECONDS = 30.0  # a play that is interrupted takes back what it has made


class State:
    """One sync's directory."""

    def __init__(self, paths: Paths, name: str) -> None:
        self.name = name
        self.directory = paths.sync(model.named(name))
        self._lock = Lock(f"{self.directory}/lock")
        self._saved = ""

    def hold(self) -> None:
        """Be the only process that follows this source. Raises Conflict."""
        os.makedirs(self.directory, mode=0o700, exist_ok=True)
        if not self._lock.try_take():
            hint = "`kubeplay sync status -o wide` shows it; --name gives this one a name of its own"
            raise Conflict(f"another process follows {self.name}", hint=hint)
        me = processes.identify(os.getpid())
        if me is not None:
            _write(f"{self.directory}/holder", f"{me.pid} {me.start}")

    def release(self) -> None:
        self._lock.release()

    @property
    def follower(self) -> int:
        """The process that follows it now, 0 = none."""
        one = self._holder()
        return one.pid if one is not None else 0

    def end(self) -> None:
        """Have that process end, and wait until it has. Raises Timeout."""
        one = self._holder()
        if one is not None and processes.send(one, signal.SIGTERM) and not processes.await_end(one, END_SECONDS):
            raise Timeout(f"process {one.pid} follows {self.name} and does not end")

    def _holder(self) -> processes.Process | None:
        words = (_read(f"{self.directory}/holder") or "").split()
        if len(words) != 2 or not all(word.isascii() and word.isdigit() for word in words):
            return None
        one = processes.Process(int(words[0]), int(words[1]))
        return one if processes.alive(one) else None

    def load(self) -> tuple[Spec, Status] | None:
        """None for one that nobody has begun. Raises StoreError."""
        path = f"{self.directory}/status.json"
        text = _read(path)
        return None if text is None else model.loads(text, path)

    def save(self, spec: Spec, status: Status) -> None:
        text = model.dumps(spec, status)
        if text != self._saved:
            _write(f"{self.directory}/status.json", text)
            self._saved = text

    def good(self) -> Built | None:
        """What runs, as it was applied last; None before that."""
        text = _read(f"{self.directory}/good.json")
        if text is None:
            return None
        value = json.loads(text)
        return Built(value["revision"], tuple((name, data.encode("latin-1")) for name, data in value["texts"]))

    def keep(self, built: Built) -> None:
        """Latin-1 gives every byte a character: what is kept is what was read, whatever its encoding."""
        texts = [(name, data.decode("latin-1")) for name, data in built.texts]
        _write(f"{self.directory}/good.json", json.dumps({"revision": built.revision, "texts": texts}))

    def forget(self) -> None:
        """Remove all of it. Raises Conflict while a process follows."""
        from kubeplay.engine.layers import tree

        if not os.path.isdir(self.directory):
            raise NotFound(f"there is no sync {self.name!r}", hint="`kubeplay sync status` lists them")
        self.hold()
        try:
            tree.remove(self.directory)
        finally:
            self.release()


def every(paths: Paths) -> list[State]:
    """All of this root, by name."""
    top = os.path.dirname(paths.sync("x"))
    try:
        names = sorted(os.listdir(top))
    except FileNotFoundError:
        return []
    return [State(paths, name) for name in names if os.path.exists(f"{top}/{name}/status.json")]


def _read(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        return None


def _write(path: str, text: str) -> None:
    """Whole or not at all, whenever the process is killed; a file that says the same already is left alone."""
    if _read(path) == text:
        return
    fresh = f"{path}.new"
    with open(fresh, "w", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(text)
    os.replace(fresh, path)

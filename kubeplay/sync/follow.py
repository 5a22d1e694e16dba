"""One source followed: look, decide, bring about or heal, remember. The decisions are decide.py's; this carries them out.

What runs stays as it is whenever the newest state cannot be read, is invalid, or does not come up: an error is remembered and told, and
ends nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from kubeplay.errors import Interrupted, KubeplayError
from kubeplay.record import Record
from kubeplay.sync import decide
from kubeplay.sync.decide import BRING, HEAL, Seen
from kubeplay.sync.model import APPLY, BUILD, SOURCE, Built, Error, Spec, Status

if TYPE_CHECKING:
    from kubeplay.clock import Clock
    from kubeplay.sync.sources import Source
    from kubeplay.sync.state import State

DRIFT_SECONDS = 1.0  # how soon a change by hand is seen: one query of the watch log each time
_SHOWN = 20  # lines of drift that are remembered


class Told(Record):
    """Something that happened, in an event's words; `lines` are what changed, one by one."""

    reason: str
    message: str
    warning: bool = False
    lines: tuple[str, ...] = ()


class Brought(Record):
    """What an apply did: what changed, as kubectl says it (`service/web created`), and the source's objects (`Kind/namespace/name`)."""

    changes: tuple[str, ...]
    objects: tuple[str, ...]


class Stack(Protocol):
    """What runs here, as a sync uses it (ground.py). All raise KubeplayError."""

    def check(self, built: Built) -> Any:
        """The manifests, valid for this machine. Nothing is changed."""

    def bring(self, manifests: Any) -> Brought:
        """Bring them about, or leave everything as it was."""

    def drift(self, manifests: Any) -> tuple[str, ...]:
        """What of the stack is not as the manifests have it, a line each."""

    def mark(self, objects: tuple[str, ...]) -> object:
        """A value that changes whenever one of the objects does: cheap."""


class Follower:
    """One sync in one process. `tell` hears what happens."""

    def __init__(self, spec: Spec, source: Source, stack: Stack, state: State, clock: Clock, tell: Callable[[Told], None]) -> None:
        self.spec, self.source, self.stack, self.state, self.clock, self.tell = spec, source, stack, state, clock, tell
        known = state.load()
        self.status = known[1] if known else Status()
        if known and not _same_source(known[0], spec):
            self.status = Status(objects=self.status.objects)  # what runs came from elsewhere: its revisions mean nothing here
        self._mark: object = None
        self._begun = False
        self._built: Built | None = None

    def begin(self) -> None:
        """Somebody asks for it: a revision that has failed is tried again, however often it was before."""
        self.status = decide.kept(self.status)

    def once(self) -> Status:
        """Look, and bring the newest revision about if it is not what runs; a drift is healed. Raises what went wrong."""
        self.begin()
        error = self.step(stirred=True)
        if error is not None:
            raise error
        return self.status

    def step(self, *, stirred: bool = False) -> KubeplayError | None:
        """One round; the error that it ended with, which is remembered. `stirred`: something has changed, so look now."""
        now = self.clock.now()
        error = None
        if stirred or now >= decide.due(self.spec, self.status, now):
            error = self._look()
        drifted = self._drifted()
        seen = Seen(self.status.seen if error is None else "", drifted, not self._begun)
        action = decide.decide(self.status, seen, self.clock.now())
        self._begun = True
        if action == BRING:
            error = self._bring(self.status.seen)
        elif action == HEAL:
            error = self._heal() or error
        self.state.save(self.spec, self.status)
        return error

    def wait(self) -> float:
        """Seconds until the next round is due."""
        now = self.clock.now()
        return min(DRIFT_SECONDS, max(0.0, decide.due(self.spec, self.status, now) - now))

    # steps
    def _look(self) -> KubeplayError | None:
        from kubeplay.sync.model import DIRECTORY

        stage = BUILD if self.spec.kind == DIRECTORY else SOURCE  # a directory's revision is what its files make
        try:
            with _told():
                seen = self.source.look()
        except Interrupted:
            raise
        except KubeplayError as error:
            self.status = self.status._replace(looked=self.clock.now())
            return self._failed(stage, "", error)
        # it can be asked again, and a bad revision may have been taken back
        self.status = decide.kept(self.status._replace(seen=seen, looked=self.clock.now()), seen, self.status.applied)
        return None

    def _bring(self, revision: str) -> KubeplayError | None:
        stage = BUILD
        try:
            with _told():
                built = self.source.build(revision)
                revision = built.revision  # a directory may have changed since the look
                self.status = self.status._replace(seen=revision)
                manifests = self.stack.check(built)
                stage = APPLY
                brought = self.stack.bring(manifests)
        except Interrupted:
            raise
        except KubeplayError as error:
            self._mark = None
            return self._failed(stage, revision, error)
        self.state.keep(built)
        self._built = built
        now = self.clock.now()
        self.status = decide.kept(self.status._replace(applied=revision, since=now, drift=(), objects=brought.objects))
        self._mark = self.stack.mark(brought.objects)
        self.tell(Told("Synced", f"{revision}: {_counted(brought.changes)}", lines=brought.changes))
        return None

    def _drifted(self) -> bool:
        """Whether what runs differs from the applied revision; asked in full only after one of its objects has changed."""
        if not self.status.applied:
            return False
        mark = self.stack.mark(self.status.objects)
        if mark == self._mark:
            return bool(self.status.drift)
        built = self._good()
        if built is None:
            return False
        try:
            with _told():
                lines = self.stack.drift(self.stack.check(built))
        except Interrupted:
            raise
        except KubeplayError as error:
            lines = (str(error).split("\n")[0],)
        self._mark = mark
        if lines and lines != self.status.drift:
            self.tell(Told("Drifted", "; ".join(lines[:_SHOWN]), warning=True))
        self.status = self.status._replace(drift=lines[:_SHOWN])
        return bool(lines)

    def _heal(self) -> KubeplayError | None:
        built = self._good()
        if built is None:  # somebody has removed good.json: the source's newest state is all there is
            return None
        try:
            with _told():
                brought = self.stack.bring(self.stack.check(built))
        except Interrupted:
            raise
        except KubeplayError as error:
            return self._failed(APPLY, built.revision, error)
        healed = self.status.healed + bool(self.status.drift)
        old = self.status
        now = old._replace(drift=(), healed=healed, objects=brought.objects)
        now = decide.kept(now, *(one.revision for one in old.failures if one.revision != built.revision))  # a newer revision's stays
        self.status = now._replace(error=old.error) if old.error is not None and not old.error.revision else now
        self._mark = self.stack.mark(brought.objects)
        self.tell(Told("Healed", f"{built.revision}: {_counted(brought.changes)}", lines=brought.changes))
        return None

    def _good(self) -> Built | None:
        if self._built is None or self._built.revision != self.status.applied:
            self._built = self.state.good()
        return self._built if self._built is not None and self._built.revision == self.status.applied else None

    def _failed(self, stage: str, revision: str, error: KubeplayError) -> KubeplayError:
        said = "\n".join([str(error), *getattr(error, "__notes__", ())])  # whether it was rolled back is a note
        text = said.encode("utf-8", "replace").decode()  # names of files are not always text
        before = self.status.error
        self.status = decide.failed(self.status, stage, revision, text, self.clock.now())
        if before is None or Error(before.stage, before.revision, before.message, 0, 0.0) != Error(stage, revision, text, 0, 0.0):
            reason = {SOURCE: "SourceFailed", BUILD: "BuildFailed", APPLY: "SyncFailed"}[stage]
            stays = f"{self.status.applied} stays: " if self.status.applied and revision != self.status.applied else ""
            self.tell(Told(reason, f"{revision + ': ' if revision else ''}{stays}{text}", warning=True))
        return error


@contextmanager
def _told() -> Iterator[None]:
    """What the machine refuses while we are at work (a directory that goes just now) is an error like others: it ends nothing."""
    try:
        yield
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise KubeplayError(f"{where}{error.strerror or error}") from error


def _same_source(one: Spec, other: Spec) -> bool:
    fields = ("kind", "shown", "namespace", "branch", "tag", "commit", "path", "recursive")
    return all(getattr(one, name) == getattr(other, name) for name in fields)


def _counted(changes: tuple[str, ...]) -> str:
    """`2 created, 1 configured`: by the last words of the lines."""
    from collections import Counter

    words = Counter(change.rpartition(" ")[2] for change in changes)
    return ", ".join(f"{count} {word}" for word, count in sorted(words.items())) or "nothing had to change"

"""Changes of files, as the kernel tells them (inotify, through watchdog): a wait that ends early when something has changed."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from typing import Any

QUIET = 0.05  # seconds without another event until files count as written: an editor's write, rename and delete come within a few ms
AT_MOST = 0.2  # seconds of events after which what is there is looked at all the same


class Watcher:
    """Watches directories; `wait` returns when something in one of them was changed. The kernel may lose events: look from time to time."""

    def __init__(self) -> None:
        self._changed = threading.Event()
        self._observer: Any = None
        self._watches: dict[tuple[str, bool], tuple[Any, tuple[int, int]]] = {}

    def follow(self, places: Iterable[tuple[str, bool]]) -> None:
        """Watch exactly these directories from now on, each with everything below it where its flag says so.

        One that is not there is left out; one that was removed and made anew is watched anew.
        """
        wanted = {(path, deep): identity for path, deep in places if (identity := _identity(path)) is not None}
        for key, (watch, identity) in list(self._watches.items()):
            if wanted.get(key) != identity:
                del self._watches[key]
                self._observer.unschedule(watch)
        for key, identity in wanted.items():
            if key not in self._watches:
                self._schedule(key, identity)

    def wait(self, seconds: float) -> bool:
        """Wait, at most so long; True when something has changed, and then until it is quiet."""
        if not self._changed.wait(max(0.0, seconds)):
            return False
        waited = 0.0
        while waited < AT_MOST:
            self._changed.clear()
            if not self._changed.wait(QUIET):
                break
            waited += QUIET
        self._changed.clear()
        return True

    def touch(self) -> None:
        """Have `wait` return: something else wants a look."""
        self._changed.set()

    def close(self) -> None:
        """Stop watching."""
        if self._observer is not None:
            self._observer.stop()
            self._observer.join()
        self._watches.clear()
        self._observer = None

    def _schedule(self, key: tuple[str, bool], identity: tuple[int, int]) -> None:
        from watchdog import events
        from watchdog.observers import Observer

        if self._observer is None:
            self._observer = Observer()
            self._observer.daemon = True
            self._observer.start()
        changed = self._changed

        class Handler(events.FileSystemEventHandler):
            def on_any_event(self, event: events.FileSystemEvent) -> None:
                changed.set()

        # not that files are opened or read: we read them ourselves
        kinds = [events.FileModifiedEvent, events.FileCreatedEvent, events.FileDeletedEvent, events.FileMovedEvent, events.FileClosedEvent,
                 events.DirCreatedEvent, events.DirDeletedEvent, events.DirMovedEvent]  # fmt: skip
        try:
            watch = self._observer.schedule(Handler(), key[0], recursive=key[1], event_filter=kinds)
        except OSError:  # it went just now, or the machine's inotify watches are used up: the interval stays
            return
        self._watches[key] = (watch, identity)


def _identity(path: str) -> tuple[int, int] | None:
    """Which directory a path is, beyond its name."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return (found.st_dev, found.st_ino)

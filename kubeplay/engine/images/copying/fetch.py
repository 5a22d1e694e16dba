"""What `pull` is asked for, as sources: short names and their candidates, policies, all tags, archives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kubeplay.engine.images import reference
from kubeplay.engine.images.copying import pull
from kubeplay.engine.images.copying.progress import TRYING, Progress, Report, silent
from kubeplay.engine.images.copying.pull import PullOptions
from kubeplay.engine.images.reference import Reference
from kubeplay.engine.images.transports import location
from kubeplay.engine.images.transports.location import Location
from kubeplay.engine.store.images import ImageRow
from kubeplay.errors import InvalidInput, KubeplayError, NotFound, RegistryError, TrustError
from kubeplay.record import Record

if TYPE_CHECKING:
    from kubeplay.engine.images.registry.access import Access
    from kubeplay.engine.images.store import ImageStore

ALWAYS, MISSING, NEVER, NEWER = POLICIES = ("always", "missing", "never", "newer")
_MAX_TAGS = 10_000


def fetch(
    images: ImageStore, text: str, access: Access, options: PullOptions | None = None, policy: str = ALWAYS, report: Report = silent
) -> tuple[str, ...]:
    """Bring what `text` names (a name, or TRANSPORT:...) into the store; the ids of the images, one but for archives of several.

    `policy` is one of POLICIES: newer = only when the registry has another one, and no error when it cannot be asked but an image is
    here. Raises NotFound, RegistryError, TrustError, InvalidInput, NotSupported, Exhausted.
    """
    place = location.parse(text)
    if place.transport == location.STORAGE:
        return (images.get(place.name).id,)
    if place.transport not in (location.BARE, location.DOCKER):
        return _from_files(images, place, _with_policy(options or PullOptions()), report)
    return (_named(images, place, access, options, policy, report),)


def by_name(
    images: ImageStore, name: str, access: Access, options: PullOptions | None = None, policy: str = ALWAYS, report: Report = silent
) -> str:
    """As `fetch`, for a name from a manifest: `oci:x` is the repository oci with the tag x then, never a file. Returns the id."""
    return _named(images, Location(location.BARE, "", name), access, options, policy, report)


def _named(images: ImageStore, place: Location, access: Access, options: PullOptions | None, policy: str, report: Report) -> str:
    if policy not in POLICIES:
        raise InvalidInput(f"unsupported pull policy {policy[:50]!r}", hint=f"it is one of {', '.join(POLICIES)}")
    options = _with_policy(options or PullOptions())
    row = images.resolve(place.name)
    if policy == NEVER or (policy == MISSING and row is not None):
        return images.get(place.name).id
    wanted = _Wanted(images, access, options, report, row if policy == NEWER else None)
    try:
        return wanted.first(place)
    except RegistryError:
        if policy == NEWER and row is not None:
            return row.id
        raise


def all_tags(images: ImageStore, text: str, access: Access, options: PullOptions | None = None, report: Report = silent) -> tuple[str, ...]:
    """Every tagged image of a repository. Raises as `fetch`."""
    from kubeplay.engine.images.registry.source import RegistrySource

    place = location.parse(text)
    if place.transport not in (location.BARE, location.DOCKER):
        raise InvalidInput(f"{text[:300]}: --all-tags is for registries only")
    if "@" in place.name or (place.transport == location.BARE and ":" in place.name.rpartition("/")[2]):
        raise InvalidInput(f"{text[:300]}: tag can't be used with --all-tags")
    options = _with_policy(options or PullOptions())
    wanted = _Wanted(images, access, options, report, None)
    for candidate in _candidates(place):
        source = RegistrySource(candidate, access)
        with source:
            try:
                tags = source.tags(_MAX_TAGS)
            except (NotFound, RegistryError):
                if candidate == _candidates(place)[-1]:
                    raise
                continue
        return tuple([wanted.one(candidate._replace(tag=tag)) for tag in tags])
    raise NotFound(f"{text[:300]}: no registry to ask")


class _Wanted(Record):
    """One pull. `newer_than`: the image that is here, to keep when the registry has no other."""

    images: ImageStore
    access: Access
    options: PullOptions
    report: Report
    newer_than: ImageRow | None

    def first(self, place: Location) -> str:
        """The first candidate that can be had. The trust policy's refusal ends the search."""
        failures: list[tuple[Reference, KubeplayError]] = []
        for candidate in _candidates(place):
            try:
                return self.one(candidate)
            except TrustError:
                raise
            except (NotFound, RegistryError) as error:
                failures.append((candidate, error))
        if len(failures) == 1:
            raise failures[0][1]
        lines = "".join(f"\n\t* {candidate}: {error.message}" for candidate, error in failures)
        raise RegistryError(f"{len(failures)} errors occurred while pulling:{lines}", hint=failures[0][1].hint)

    def one(self, name: Reference) -> str:
        """The image of one full name."""
        from kubeplay.engine.images.registry.source import RegistrySource

        self.report(Progress(TRYING, str(name)))
        source = RegistrySource(name, self.access)
        with source:
            if self.newer_than is not None and source.digest() in dict(self.images.rows.documents(self.newer_than.id)):
                return self.newer_than.id
            local = str(name._replace(tag="") if name.digest else name)
            options = self.options._replace(digest=name.digest)
            return pull.bring(self.images, source, (local,), options, self.report)


def _with_policy(options: PullOptions) -> PullOptions:
    """A broken policy file is told before anyone is asked for anything."""
    from kubeplay.engine.images import trust

    return options if options.policy is not None else options._replace(policy=trust.load(options.signature_policy))


def _candidates(place: Location) -> tuple[Reference, ...]:
    if place.transport == location.DOCKER:
        return (reference.parse(place.name),)
    from kubeplay.engine.images.registry import registries

    return registries.resolve(place.name)


def _from_files(images: ImageStore, place: Location, options: PullOptions, report: Report) -> tuple[str, ...]:
    from kubeplay.engine.images.archive import open_archive
    from kubeplay.engine.images.transports import dockerarchive, oci
    from kubeplay.engine.images.transports.directory import DirSource

    report(Progress(TRYING, str(place)))
    if place.transport == location.DIR:
        with DirSource(place.path) as source:
            return (pull.bring(images, source, (), options, report),)
    with open_archive(place.path, images.spool) as archive:
        if place.transport == location.DOCKER_ARCHIVE:
            found: Sequence[dockerarchive.DockerArchiveSource] = (
                [dockerarchive.DockerArchiveSource(archive, place.path, place.name)]
                if place.name
                else [dockerarchive.DockerArchiveSource(archive, place.path, "", entry) for entry in dockerarchive.entries(archive)]
            )
            return tuple([pull.bring(images, one, _said(place) or one.names, options, report) for one in found])
        layout = oci.OciSource(archive, place.path, place.name, place.transport)
        names = _said(place) or ((layout.reference,) if layout.reference else ())
        return (pull.bring(images, layout, names, options, report),)


def _said(place: Location) -> tuple[str, ...]:
    """The name after the path, if it is one."""
    if not place.name or place.name.startswith("@"):
        return ()
    try:
        return (location.local_name(place.name),)
    except InvalidInput:
        return ()

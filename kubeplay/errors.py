"""Every error kubeplay raises, and the one place that maps them to exit codes.

KubeplayError                     anything we say to a person
├── InvalidInput                  bad manifests or arguments: carries every Fault, fix the input
├── NotSupported                  valid for Kubernetes, not (yet) for us
├── NotFound                      no such object, image, volume, file
├── AlreadyExists                 the name is taken
├── Conflict                      changed behind our back, in use, or differs from what runs
├── Ambiguous                     a short name fits several objects
├── Forbidden                     the caller may not do this
├── Exhausted                     disk, addresses, ports: free some and retry
├── Timeout                       the state did not come about in time
├── Interrupted                   a signal stopped the command
├── MissingPrerequisite           a program or kernel feature is absent: install it
├── StoreError                    the database cannot be used (newer schema, damage)
├── ClusterError                  a Kubernetes cluster refused or could not be reached: its status, reason and causes
├── NotRunning                    the container or pod is not in the state this needs
├── NotInvoked                    a command cannot be run in a container: exit status 126 or 127
├── CommandFailed                 a program we ran failed: carries argv, exit status, stderr
│   └── RuntimeFailed             ... the OCI runtime or conmon
└── PodError                      a pod cannot go on; `reason` is the field's own word
    ├── SandboxError              reason FailedCreatePodSandBox (kubernetes-semantics CS3)
    ├── VolumeError               reason FailedMount (CS3, CS5)
    ├── ImageError                reasons ErrImagePull, ErrImageNeverPull, InvalidImageName (CS3)
    └── ContainerError            reasons CreateContainerConfigError, CreateContainerError, RunContainerError
"""

from __future__ import annotations

from collections.abc import Sequence

from kubeplay.record import Record

# podman-kube-facts.md: 125 is the engine's own failure; 126 and 127 are the command's.
EXIT_FAILURE = 125
EXIT_CANNOT_INVOKE = 126
EXIT_NOT_FOUND = 127
EXIT_INTERRUPTED = 130


class Fault(Record):
    """One thing wrong with one place of an input; `path` is the Kubernetes field path.

    `reason` is the API server's word (FieldValueRequired, FieldValueInvalid, FieldValueNotSupported,
    FieldValueDuplicate, FieldValueForbidden, FieldValueTooLong, FieldValueTypeInvalid, ... as in
    verdicts/), or `NotSupported` for what a later slice brings, or `YAML` for syntax.
    """

    path: str
    reason: str
    message: str
    hint: str = ""
    source: str = ""
    line: int = 0
    column: int = 0
    document: int = 0

    def __str__(self) -> str:
        where = f"{self.source}:{self.line}:{self.column}: " if self.source and self.line else ""
        path = f"{self.path}: " if self.path else ""
        hint = f" ({self.hint})" if self.hint else ""
        return f"{where}{path}{self.message}{hint}"


class KubeplayError(Exception):
    """Base of everything we raise on purpose; `hint` says what the person can do."""

    exit_code = EXIT_FAILURE

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\nhint: {self.hint}" if self.hint else self.message


class InvalidInput(KubeplayError):
    """Manifests or arguments that cannot be used; all faults at once."""

    def __init__(self, message: str, faults: Sequence[Fault] = (), *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.faults = tuple(faults)

    def __str__(self) -> str:
        return "\n".join([self.message, *map(str, self.faults)] + ([f"hint: {self.hint}"] if self.hint else []))


class NotSupported(KubeplayError):
    """Right for a cluster, not implemented here (yet)."""


class NotFound(KubeplayError):
    """No such thing."""


class AlreadyExists(KubeplayError):
    """The name is taken."""


class Conflict(KubeplayError):
    """In use, or differs from what is there."""


class Ambiguous(KubeplayError):
    """A short name or id that fits several objects."""


class Forbidden(KubeplayError):
    """The caller lacks the right."""


class Exhausted(KubeplayError):
    """A pool is empty: disk, addresses, ports."""


class Timeout(KubeplayError):
    """The awaited state did not come about."""


class Interrupted(KubeplayError):
    """A signal ended the command; what it made has been rolled back."""

    exit_code = EXIT_INTERRUPTED


class MissingPrerequisite(KubeplayError):
    """A program, package or kernel feature this needs is absent."""


class StoreError(KubeplayError):
    """The database cannot be used."""


class NotRunning(KubeplayError):
    """The pod or container is not in the state the command needs."""


class NotInvoked(KubeplayError):
    """A command cannot be run in a container; `status` is 126 or 127, as podman has them."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.exit_code = status


class CommandFailed(KubeplayError):
    """A program we ran failed."""

    def __init__(self, argv: Sequence[str], status: int, stderr: str, *, hint: str = "") -> None:
        super().__init__(f"{argv[0]}: exit status {status}: {stderr.strip()[-2000:]}", hint=hint)
        self.argv = tuple(argv)
        self.status = status
        self.stderr = stderr


class RuntimeFailed(CommandFailed):
    """conmon or the OCI runtime failed."""


class RegistryError(KubeplayError):
    """A registry refused, could not be reached, or answered what it must not; `status` is the HTTP status, 0 without one."""

    def __init__(self, message: str, status: int = 0, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.status = status


class Unauthorized(RegistryError):
    """The registry wants credentials, or others."""


class ClusterError(KubeplayError):
    """A Kubernetes cluster refused, could not be reached, or answered what it must not.

    `status` is the HTTP status (0 without one), `reason` the API server's word (Conflict, Invalid, NotFound ...), `causes` its details.
    """

    def __init__(
        self, message: str, status: int = 0, reason: str = "", causes: Sequence[dict[str, object]] = (), *, hint: str = ""
    ) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.reason = reason
        self.causes = tuple(causes)


class TrustError(KubeplayError):
    """The trust policy refuses the image."""


class BuildError(KubeplayError):
    """A step of a build failed."""


class PodError(KubeplayError):
    """A step of a pod failed; `reason` and `message` are what a kubelet would report."""

    def __init__(self, reason: str, message: str, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.reason = reason


class SandboxError(PodError):
    """The sandbox (namespaces, network, cgroup) could not be made."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__("FailedCreatePodSandBox", message, hint=hint)


class VolumeError(PodError):
    """A volume could not be set up or mounted."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__("FailedMount", message, hint=hint)


class ImageError(PodError):
    """The image could not be had."""


class ContainerError(PodError):
    """The container could not be configured, created or started."""


def exit_code(error: BaseException) -> int:
    """The exit status of a command that ended with `error`."""
    if isinstance(error, KubeplayError):
        return error.exit_code
    return EXIT_INTERRUPTED if isinstance(error, KeyboardInterrupt) else EXIT_FAILURE

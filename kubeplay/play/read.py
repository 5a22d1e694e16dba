"""From the words of the command line to checked manifests.

Everything is read and checked before anything is refused, so one run tells all that is wrong with all files.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, BinaryIO

from kubeplay.engine.oci import capabilities
from kubeplay.errors import Fault, InvalidInput
from kubeplay.play import fields
from kubeplay.play.compile import marks
from kubeplay.play.fields import NO_EFFECT
from kubeplay.play.places import placed
from kubeplay.play.sources import Source, load

if TYPE_CHECKING:
    from kubeplay.kube.admission import Known
    from kubeplay.kube.check import Manifest
    from kubeplay.kube.document import Document
    from kubeplay.kube.kinds import Kind


def read(
    sources: Sequence[str],
    stdin: BinaryIO | None = None,
    validate_mode: str = "strict",
    namespace: str = "default",
    configmaps: Sequence[str] = (),
    known: Known | None = None,
) -> list[Manifest]:
    """The manifests of all sources, in their order, with their warnings.

    Raises InvalidInput with every fault of every source, NotFound for a file that is not there.

    `configmaps` are files of --configmap, which hold only ConfigMaps. With `validate_mode` "warn" or "ignore" fields that are
    not supported are warnings of their manifest (nothing at all with "ignore"), and documents of kinds that we do not run are left out.
    """
    return check_all(load(sources, stdin), validate_mode, namespace, load(configmaps, None), known)


def check_all(
    texts: Sequence[Source], validate_mode: str, namespace: str, configmaps: Sequence[Source] = (), known: Known | None = None
) -> list[Manifest]:
    """The same for texts that have been read."""
    from kubeplay.kube import check

    manifests: list[Manifest] = []
    faults: list[Fault] = []
    rejected: list[tuple[Document, Kind]] = []
    skipped: list[Fault] = []
    only_maps = {name for name, _ in configmaps}
    for name, data in (*texts, *configmaps):
        found = check.inspect(data, name, mode=validate_mode, namespace=namespace, known=known, further=True)
        faults += found.faults
        rejected += found.rejected
        skipped += found.skipped
        for manifest in found.manifests:
            refused, warned = _fields(manifest, validate_mode)
            faults += refused
            manifests.append(warned)
        if name in only_maps:
            faults += [_not_a_config_map(manifest) for manifest in found.manifests if manifest.kind.kind != "ConfigMap"]
    if skipped and not manifests:
        faults += skipped  # nothing would be left to play
    if faults:
        faults += _more(manifests, rejected if validate_mode == "strict" else [], faults)
        faults = in_order(faults, [name for name, _ in (*texts, *configmaps)])
        raise InvalidInput(summary(faults), faults, hint=_remedy(faults))
    if skipped and validate_mode == "warn":
        told = tuple([f"{fault}; it is left out" for fault in skipped])
        manifests[0] = manifests[0]._replace(warnings=(*manifests[0].warnings, *told))
    return manifests


def _more(manifests: Sequence[Manifest], rejected: Sequence[tuple[Document, Kind]], known: Sequence[Fault]) -> list[Fault]:
    """What the steps after the one that found faults would find: in the manifests that are right, and in the others' fields."""
    from kubeplay.play import stack

    found = stack.refused(manifests)
    for document, kind in rejected:
        here = {fault.path for fault in known if (fault.source, fault.document) == (document.source, document.index)}
        further = [placed(fault, document) for fault in fields.unsupported(document.value, kind.kind)]
        found += [fault for fault in further if not any(f"{fault.path}.".startswith((f"{path}.", f"{path}[")) for path in here)]
    return found


def in_order(faults: Sequence[Fault], names: Sequence[str]) -> list[Fault]:
    """By file, as they were named, and by line."""
    rank = {name: at for at, name in reversed(list(enumerate(names)))}
    return sorted(faults, key=lambda fault: (rank.get(fault.source, len(rank)), fault.line))


def _remedy(faults: Sequence[Fault]) -> str:
    """What --validate can do about the faults, when it can do something about all of them."""
    lenient = all(fault.reason == "NotSupported" and fault.path != "spec.replicas" for fault in faults)
    return "leave the fields out, or play without what they do: --validate=warn" if lenient else ""


def summary(faults: Sequence[Fault]) -> str:
    """One line: how much is wrong and in how many files."""
    files = len({fault.source for fault in faults})
    what = "not supported" if all(fault.reason == "NotSupported" for fault in faults) else "invalid"
    count = f"{len(faults)} fault" + ("s" if len(faults) > 1 else "")
    return f"{what}: {count}" + (f" in {files} files" if files > 1 else "") + ", nothing was created"


def notices(manifest: Manifest) -> list[str]:
    """What `--log-level debug` tells of a manifest: its fields that have no effect, each with its place and why."""
    found = [Fault(path, NO_EFFECT, f"has no effect: {why}") for path, why in fields.no_effect(manifest.document.value, manifest.kind.kind)]
    return [str(placed(fault, manifest.document)) for fault in found]


def _ignored_annotations(manifest: Manifest) -> list[str]:
    """Annotations that work in Podman, or steer a runtime, and not here: a person may count on them, so they are warnings."""
    meta = manifest.object["metadata"]
    places = [("metadata", meta)]
    template = (manifest.object.get("spec") or {}).get("template")
    if isinstance(template, dict):
        places.append(("spec.template.metadata", template.get("metadata") or {}))
    found = []
    for path, record in places:
        for key, why in marks.notices(record.get("annotations") or {}):
            found.append(str(placed(Fault(f"{path}.annotations[{key}]", NO_EFFECT, f"has no effect: {why}"), manifest.document)))
    return found


def _unknown_capabilities(manifest: Manifest) -> list[str]:
    """Names that a kubelet ignores without a word (record 076), and Podman does not: a dropped one may be counted on."""
    spec, path = manifest.object.get("spec") or {}, "spec"
    if isinstance(spec.get("template"), dict):
        spec, path = spec["template"].get("spec") or {}, "spec.template.spec"
    found = []
    for field in ("initContainers", "containers"):
        for number, container in enumerate(spec.get(field) or ()):
            wanted = (container.get("securityContext") or {}).get("capabilities") or {}
            for name in [*(wanted.get("add") or ()), *(wanted.get("drop") or ())]:
                if not capabilities.is_known(name):
                    why = "Kubernetes writes it without CAP_" if name.upper().startswith("CAP_") else "no such capability"
                    where = f"{path}.{field}[{number}].securityContext.capabilities"
                    found.append(str(placed(Fault(where, NO_EFFECT, f"{name} has no effect: {why}"), manifest.document)))
    return found


def _fields(manifest: Manifest, mode: str) -> tuple[list[Fault], Manifest]:
    """Fields that are not supported: faults, or warnings where the caller asked for leniency."""
    ignored = _ignored_annotations(manifest) + _unknown_capabilities(manifest) if mode != "ignore" else []
    if ignored:
        manifest = manifest._replace(warnings=(*manifest.warnings, *ignored))
    found = fields.unsupported(manifest.document.value, manifest.kind.kind)
    if not found or mode == "ignore":
        return [], manifest
    located = [placed(fault, manifest.document) for fault in found]
    if mode == "strict":
        return located, manifest
    return [], manifest._replace(warnings=(*manifest.warnings, *map(str, located)))


def _not_a_config_map(manifest: Manifest) -> Fault:
    return placed(Fault("kind", "FieldValueNotSupported", "a --configmap file holds only ConfigMaps"), manifest.document)

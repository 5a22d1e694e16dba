"""`kube check`: what of files would not work in a cluster, or here, each thing with its file and line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from kubeplay.errors import Fault, InvalidInput
from kubeplay.kube import check
from kubeplay.kube.portable import findings as portable
from kubeplay.kube.portable import pss
from kubeplay.kube.portable.model import CLUSTER, ERROR, INFO, LEVELS, WARNING, Facts, Finding, part, record, text
from kubeplay.kube.portable.together import together
from kubeplay.record import Record

if TYPE_CHECKING:
    from kubeplay.kube.admission import Known
    from kubeplay.kube.document import Document
    from kubeplay.play.sources import Source

# The label by which a namespace refuses pods that break a standard (Pod Security admission).
ENFORCE = "pod-security.kubernetes.io/enforce"
_UNKNOWN = ("NotSupported",)  # what only we do not run, or run otherwise: nothing to a cluster


class Judged(Record):
    """One thing; `object` is KIND/NAME, `rule` a stable word for tools."""

    source: str
    line: int
    column: int
    object: str
    level: str
    path: str
    why: str
    remedy: str
    rule: str

    def __str__(self) -> str:
        where = f"{self.source}:{self.line}:{self.column}: " if self.line else f"{self.source}: "
        path = f"{self.path}: " if self.path else ""
        return f"{where}{self.level}: {path}{self.why}" + (f" ({self.remedy})" if self.remedy else "")


class Verdict(Record):
    """What was found, in the order of the files; `standard` is the strictest Pod Security Standard that all pods meet, "" without pods."""

    judged: tuple[Judged, ...]
    standard: str

    def count(self, level: str) -> int:
        return sum(one.level == level for one in self.judged)

    def reaches(self, level: str) -> bool:
        """Whether anything is as bad as `level`, or worse."""
        return any(LEVELS.index(one.level) <= LEVELS.index(level) for one in self.judged)


class Question(Record):
    """For where is asked. `standard`: what the cluster's namespaces enforce, "" = not known: then what breaks baseline is a warning, and
    what breaks restricted a remark."""

    target: str = CLUSTER
    standard: str = ""
    namespace: str = "default"
    facts: Facts = Facts()
    known: Known | None = None


def objects(texts: Sequence[Source]) -> list[dict[str, Any]]:
    """The objects of the files as they are written, those that cannot be read aside."""
    return [document.value for name, data in texts for document in check.objects_of(data, name)[0] if isinstance(document.value, dict)]


def judge(texts: Sequence[Source], question: Question) -> Verdict:
    """What is to be said of the files."""
    judged: list[Judged] = []
    read = [check.objects_of(data, name)[0] for name, data in texts]
    enforced = _enforced(one for documents in read for one in documents)
    broken: list[Finding] = []
    pods = False
    shared = _together([one.value for documents in read for one in documents], question.target)
    for (name, data), documents in zip(texts, read):
        here = [_fault(fault, documents) for fault in _faults(name, data, question)]
        for document in documents:
            found = [*_portable(document.value, question), *next(shared)]
            if question.target == CLUSTER:
                standards = _standards(document.value, question, enforced)
                broken += standards
                found = [*found, *standards]
                pods = pods or part(document.value) is not None
            here += [_place(one, document) for one in found]
        judged += sorted(here, key=lambda one: (one.line, LEVELS.index(one.level)))
    return Verdict(tuple(dict.fromkeys(judged)), pss.worst(broken) if pods else "")


def _together(objects: Sequence[dict[str, Any]], target: str) -> Iterator[list[Finding]]:
    """What shows only when all are seen together, object by object."""
    found = together(objects, target)
    return iter([found.get(index, []) for index in range(len(objects))])


def _portable(obj: dict[str, Any], question: Question) -> list[Finding]:
    if question.target == CLUSTER:
        return portable.findings(obj, CLUSTER, question.facts)
    from kubeplay.play.portable import local

    return [one for one in local(obj, question.facts) if one.rule != "not-supported"]  # that is a fault of a play


def _enforced(documents: Iterable[Document]) -> dict[str, str]:
    """The standard that each namespace of the files enforces."""
    found = {}
    for document in documents:
        if document.value.get("kind") == "Namespace":
            meta = record(document.value, "metadata")
            level = record(meta, "labels").get(ENFORCE)
            if level in pss.STANDARDS:
                found[str(meta.get("name"))] = str(level)
    return found


def _standards(obj: dict[str, Any], question: Question, enforced: dict[str, str]) -> list[Finding]:
    """What breaks the Pod Security Standards: an error where one is enforced. A template's breach is met only when its pods are refused."""
    namespace = record(obj, "metadata").get("namespace") or question.namespace
    standard = enforced.get(str(namespace)) or question.standard
    if standard:
        return pss.findings(obj, standard, ERROR)
    found = pss.findings(obj, pss.RESTRICTED)
    return [one._replace(level=WARNING if one.rule.startswith("pss-baseline") else INFO) for one in found]


def _faults(name: str, data: bytes, question: Question) -> list[Fault]:
    """What an API server, or a play, would refuse."""
    if question.target == CLUSTER:
        found = check.inspect(data, name, namespace=question.namespace, known=question.known, further=True).faults
        return [fault for fault in found if fault.reason not in _UNKNOWN and not _foreign(fault)]
    from kubeplay.play.read import check_all

    try:
        check_all([(name, data)], "strict", question.namespace, (), question.known)
    except InvalidInput as error:
        return list(error.faults)
    return []


def _foreign(fault: Fault) -> bool:
    """A kind or version that we do not know may well be the cluster's own."""
    return fault.path in ("kind", "apiVersion") and fault.message.startswith("no kind ")


def _fault(fault: Fault, documents: Sequence[Document]) -> Judged:
    document = next((one for one in documents if one.index == fault.document), None)
    rule = "unsupported" if fault.reason == "NotSupported" else "invalid"
    named = _name(document.value) if document is not None else ""
    return Judged(fault.source, fault.line, fault.column, named, ERROR, fault.path, fault.message, fault.hint, rule)


def _place(finding: Finding, document: Document) -> Judged:
    line, column = document.positions.at(finding.path)
    said = (finding.level, text(finding.path), finding.why, finding.remedy, finding.rule)
    return Judged(document.source, line, column, _name(document.value), *said)


def _name(obj: Any) -> str:
    if not isinstance(obj, dict):
        return ""
    return f"{obj.get('kind', '')}/{record(obj, 'metadata').get('name', '')}"

"""COPY and ADD: sources told apart (paths, URLs, git, heredocs), the target made absolute, flags checked."""

from __future__ import annotations

import re

from kubeplay.engine.build.actions import check_user, joined
from kubeplay.engine.build.expand import expand_content
from kubeplay.engine.build.lexer import heredoc
from kubeplay.engine.build.model import Copy, Instruction, Origin, Source
from kubeplay.engine.build.report import Wrong
from kubeplay.engine.build.scope import Scope
from kubeplay.engine.build.syntax import switch, value
from kubeplay.engine.build.words import raw_words

_MODE = r"[0-7]{1,5}|[ugoa]*[-+=][rwxXstugo]*([-+=][rwxXstugo]*)*(,[ugoa]*[-+=][rwxXstugo]*([-+=][rwxXstugo]*)*)*"
_CHECKSUM = r"sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128}"
_COMMIT = r"[0-9a-f]{40}|[0-9a-f]{64}"
_GIT = re.compile(r"git@[^/:]+:|(git|ssh)://|https?://[^#?]+\.git(#|$)")


def copy(instruction: Instruction, scope: Scope) -> Copy:
    """Raises Wrong."""
    add = instruction.name == "ADD"
    words = _words(instruction)
    if len(words) < 2:
        raise Wrong("needs at least one source and a destination", f"as in {instruction.name} src/ /app/")
    parents = bool(switch(instruction.flags, "parents"))
    sources = tuple(_source(instruction, word, scope, parents) for word in words[:-1])
    for source in sources:
        if source.kind in ("url", "git") and not add and scope.strict:
            raise Wrong(f"{source.value[:100]!r}: COPY takes no URL", "ADD does")
    target = _target(scope.expand(words[-1], instruction.escape), scope, len(sources) > 1)
    made = _flagged(instruction, scope, Copy(sources, target, parents=parents, add=add))
    if scope.strict:
        _check(made)
    return made


def _words(instruction: Instruction) -> list[str]:
    if instruction.json is not None:
        return list(instruction.json)
    if instruction.heredocs:
        return raw_words(instruction.text, instruction.escape)  # <<'A B' is one word
    return instruction.text.split()


def _flagged(instruction: Instruction, scope: Scope, made: Copy) -> Copy:
    flags = instruction.flags

    def text(name: str) -> str:
        return scope.expand(value(flags, name), instruction.escape)

    origin = scope.find(value(flags, "from"), instruction.escape)
    if scope.strict and not origin and any(flag.name == "from" for flag in flags):
        raise Wrong("--from is empty", "an ARG it names must be declared before, within the stage or before the first FROM")
    return made._replace(
        origin=scope.origin(origin) if origin else Origin(),
        chown=text("chown"),
        chmod=text("chmod"),
        link=bool(switch(flags, "link")),
        exclude=tuple(scope.expand(flag.value or "", instruction.escape) for flag in flags if flag.name == "exclude"),
        keep_git_dir=bool(switch(flags, "keep-git-dir")),
        checksum=text("checksum"),
        unpack=switch(flags, "unpack"),
    )


def _check(made: Copy) -> None:
    if made.chown:
        check_user(made.chown)
    if made.chmod and not re.fullmatch(_MODE, made.chmod):
        raise Wrong(f"--chmod={made.chmod[:30]} is no mode", "as in 755 or u=rwX,go=rX")
    remote = [source for source in made.sources if source.kind in ("url", "git")]
    if made.checksum:
        if len(made.sources) != 1 or not remote:
            raise Wrong("--checksum needs one source, a URL or a git repository")
        if not re.fullmatch(_COMMIT if remote[0].kind == "git" else _CHECKSUM, made.checksum):
            raise Wrong(f"--checksum={made.checksum[:80]} is no checksum", "sha256:HEX for a URL, the commit for git")
    if made.keep_git_dir and not any(source.kind == "git" for source in made.sources):
        raise Wrong("--keep-git-dir needs a git repository as source")


def _source(instruction: Instruction, word: str, scope: Scope, parents: bool) -> Source:
    if instruction.heredocs and instruction.json is None:
        mark = heredoc(word, instruction.escape)
        for doc in instruction.heredocs if mark else ():
            if mark and doc.name == mark.name:
                expanded = doc.expand and scope.strict
                return Source("inline", doc.name, expand_content(doc.content, scope.variables()) if expanded else doc.content)
    text = scope.expand(word, instruction.escape)
    if not text and scope.strict:
        raise Wrong(f"the source {word[:50]!r} is empty after expansion", 'the whole context is "."')
    return classify(text, parents)


def classify(text: str, parents: bool = False) -> Source:
    """A source as COPY or ADD sees it."""
    if _GIT.match(text):
        return Source("git", text)
    if text.startswith(("http://", "https://")):
        return Source("url", text)
    pivot, mark, rest = text.partition("/./") if parents else (text, "", "")
    path = joined("/", pivot)[1:]
    if mark:
        return Source("path", f"{path or '.'}/./{joined('/', rest)[1:]}")
    return Source("path", path + ("/" if path and text.endswith("/") else ""))


def _target(text: str, scope: Scope, several: bool) -> str:
    if not text and scope.strict:
        raise Wrong("the destination is empty after expansion")
    path = joined(scope.workdir, text)
    directory = several or text.endswith(("/", "/.")) or text == "."
    return path + "/" if directory and path != "/" else path

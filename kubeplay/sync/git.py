"""A git repository as a source, through the `git` program: which commit a branch, tag or name stands for, and that commit's files.

The repository is somebody else's. Nothing of it is ever checked out: objects come into a bare repository of ours, without hooks and
filters, and one commit's files leave it as a tar stream that `tree.py` reads. Submodules are not followed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from kubeplay.engine.host import processes, userns
from kubeplay.errors import CommandFailed, InvalidInput, KubeplayError, NotFound
from kubeplay.sync.model import Spec
from kubeplay.sync.tree import MAX_BYTES, Tree, unpack

SECONDS = 300.0  # of one git command; Flux's source-controller gives 60 s, over lines slower than a cluster's
_PACKS = 64  # fetches until the repository is begun anew: it is a cache, and nobody packs it (git's own gc.autoPackLimit is 50)
_BLOCK = 512  # bytes: the unit of sh's `ulimit -f` (POSIX)
_COMMIT = re.compile(r"[0-9a-f]{4,40}")
_URL = re.compile(r"(?:https?|ssh|git|file)://\S+|[A-Za-z0-9_][A-Za-z0-9._-]*@[A-Za-z0-9\[][^\s:]*:\S+")  # the last is scp's form
_OWN_ENV = ("HOME", "SSH_AUTH_SOCK", "GIT_SSH_COMMAND", "GIT_ASKPASS", "SSH_ASKPASS", "XDG_CONFIG_HOME", "SSL_CERT_FILE", "GIT_SSL_CAINFO",
            "http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY")  # fmt: skip
# A repository decides nothing about what runs here, and what is damaged or crafted does not come in (fetch.fsckObjects).
_SETTINGS = ("core.hooksPath=/dev/null", "core.fsmonitor=false", "protocol.ext.allow=never", "fetch.fsckObjects=true", "gc.auto=0",
             "fetch.recurseSubmodules=false", "submodule.recurse=false", "core.symlinks=false", "maintenance.auto=false",
             "fetch.unpackLimit=1")  # fmt: skip
# What .gitattributes say of files is not followed: no filter runs, nothing is left out or filled in (gitattributes(5): this file wins).
_ATTRIBUTES = "* !filter !export-ignore !export-subst !text !eol !ident !working-tree-encoding\n"
_WORDS = (
    ("could not read Username", "give git a credential helper, or use ssh"),
    ("Permission denied (publickey", "the key that the host knows must be in the agent, or in ~/.ssh"),
    ("Host key verification failed", "connect to it once with ssh, so that its key is known"),
    ("dubious ownership", "the repository belongs to somebody else: `git config --global --add safe.directory DIR` trusts it"),
    ("File size limit", f"a source may have {MAX_BYTES >> 20} MiB"),
)


def is_url(text: str) -> bool:
    """Whether `text` names a repository elsewhere (or file://)."""
    return bool(_URL.fullmatch(text)) and not text.endswith((".yaml", ".yml", ".json"))


def is_repository(path: str) -> bool:
    """Whether a path is a repository by itself, without files: bare, as a server keeps it."""
    return all(os.path.exists(f"{path}/{name}") for name in ("HEAD", "objects", "refs"))


def without_password(url: str) -> str:
    """The URL as it may be shown. Over HTTP the name alone may be a token, as forges have it."""
    return re.sub(r"^(https?://)[^/]*@|^([a-z]+://)[^/@]*:[^/]*@", r"\1\2***@", url)


class Git:
    """One repository; `directory` is ours alone, and kept between fetches."""

    def __init__(self, spec: Spec, directory: str) -> None:
        self.spec = spec
        self.directory = directory
        for word in (spec.source, spec.branch, spec.tag, spec.commit):
            if word.startswith("-") or any(c.isspace() or not c.isprintable() for c in word):
                raise InvalidInput(f"{word[:200]!r}: not the name of a repository, branch, tag or commit")
        if spec.commit and not _COMMIT.fullmatch(spec.commit):
            raise InvalidInput(f"--commit {spec.commit[:100]!r} is no commit's name", hint="40 hexadecimal digits; a tag goes with --tag")

    def revision(self) -> str:
        """What the source stands for now, in Flux's form: `main@sha1:HEX`. Raises KubeplayError."""
        spec = self.spec
        if spec.commit:
            full = spec.commit if len(spec.commit) == 40 else self._have(spec.commit)
            return f"sha1:{full}"
        found = self._listed(*self._patterns())
        if spec.branch:
            return f"{spec.branch}@sha1:{self._one(found, f'refs/heads/{spec.branch}')}"
        if spec.tag:  # the commit, where the tag is an object of its own
            peeled = found.get(f"refs/tags/{spec.tag}^{{}}")
            return f"{spec.tag}@sha1:{peeled or self._one(found, f'refs/tags/{spec.tag}')}"
        head = self._one(found, "HEAD")
        return f"{found.get('ref: HEAD', 'HEAD').removeprefix('refs/heads/')}@sha1:{head}"

    def files(self, revision: str, directory: str) -> None:
        """The files of a revision into `directory`, which is empty. Raises KubeplayError."""
        commit = revision.rpartition(":")[2]
        if not self._has(commit):
            self._fetch(commit)
        path = f"{self.directory}/tree.tar"
        try:
            self._git("archive", "--format=tar", f"--output={path}", commit, own=False)
            tree = Tree(directory, self.spec.shown)
            with open(path, "rb") as archive:
                from kubeplay.engine.layers.stream import Blob

                unpack(Blob(archive.fileno()), tree)
            tree.finish()
        finally:
            if os.path.lexists(path):
                os.unlink(path)

    def watched(self) -> list[str]:
        """Directories of this machine whose change may mean another commit; none for a repository elsewhere."""
        path = self.spec.source.removeprefix("file://")
        if not path.startswith("/"):
            return []
        try:
            common = os.fsdecode(self._git("-C", path, "rev-parse", "--git-common-dir", bare=False).strip())
        except KubeplayError:
            return []
        top = os.path.join(path, common)
        return [top, *[found for found, _, _ in os.walk(f"{top}/refs/heads")], f"{top}/refs/tags"]

    def _patterns(self) -> tuple[str, ...]:
        if self.spec.branch:
            return (f"refs/heads/{self.spec.branch}",)
        return (f"refs/tags/{self.spec.tag}", f"refs/tags/{self.spec.tag}^{{}}") if self.spec.tag else ("HEAD",)

    def _listed(self, *patterns: str) -> dict[str, str]:
        """The commits of references by name; "ref: HEAD" is the branch that HEAD stands for."""
        found: dict[str, str] = {}
        said = self._git("ls-remote", "--symref", "--", self.spec.source, *patterns, bare=False)
        for line in said.decode(errors="replace").splitlines():
            value, _, name = line.partition("\t")
            if value.startswith("ref: "):
                found[f"ref: {name}"] = value[5:]
            elif len(value) == 40 and _COMMIT.fullmatch(value):
                found[name] = value
        return found

    def _one(self, found: Mapping[str, str], name: str) -> str:
        if name not in found:
            if name == "HEAD":
                raise NotFound(f"{self.spec.shown}: the repository is empty, or has no default branch", hint="name one with --branch")
            kind, _, short = name.removeprefix("refs/").partition("/")
            raise NotFound(f"{self.spec.shown}: there is no {'branch' if kind == 'heads' else 'tag'} {short!r}")
        return found[name]

    def _fetch(self, commit: str) -> None:
        """Bring one commit here without its history; from a server that gives no commit by name, all branches and tags."""
        self._make()
        reference = self.spec.branch and f"refs/heads/{self.spec.branch}" or self.spec.tag and f"refs/tags/{self.spec.tag}" or "HEAD"
        for words in (("--depth=1", "--no-tags", "--", self.spec.source, commit),
                      ("--depth=1", "--no-tags", "--", self.spec.source, reference)):  # fmt: skip
            try:
                self._git("fetch", "--quiet", *words)
            except CommandFailed:
                continue
            if self._has(commit):
                return
        self._git("fetch", "--quiet", "--tags", "--", self.spec.source, "+refs/heads/*:refs/heads/*")
        if not self._has(commit):
            raise NotFound(f"{self.spec.shown}: there is no commit {commit} in its branches and tags")

    def _have(self, short: str) -> str:
        """The whole name of a commit that was given in short."""
        if not self._has(short):
            self._make()
            self._git("fetch", "--quiet", "--tags", "--", self.spec.source, "+refs/heads/*:refs/heads/*")
        try:
            return self._git("rev-parse", "--verify", "--quiet", f"{short}^{{commit}}", own=False).decode().strip()
        except CommandFailed:
            raise NotFound(f"{self.spec.shown}: there is no commit {short}") from None

    def _has(self, commit: str) -> bool:
        if not os.path.isdir(f"{self.directory}/objects"):
            return False
        try:
            self._git("cat-file", "-e", f"{commit}^{{tree}}", own=False)
            return True
        except CommandFailed:
            return False

    def _make(self) -> None:
        packs = f"{self.directory}/objects/pack"
        if os.path.isdir(packs) and len(os.listdir(packs)) > 2 * _PACKS:  # each has an index beside it
            from kubeplay.engine.layers import tree

            tree.remove(self.directory)
        if not os.path.isdir(f"{self.directory}/objects"):
            os.makedirs(self.directory, mode=0o700, exist_ok=True)
            self._git("init", "--quiet", "--bare", "--template=", ".", own=False, bare=False, where=self.directory)
        os.makedirs(f"{self.directory}/info", exist_ok=True)
        with open(f"{self.directory}/info/attributes", "w", encoding="utf-8") as file:
            file.write(_ATTRIBUTES)

    def _git(self, *words: str, own: bool = True, bare: bool = True, where: str = "/") -> bytes:
        """What git prints. `own`: with this person's configuration and keys. Raises CommandFailed, Timeout, MissingPrerequisite."""
        settings = [word for one in _SETTINGS for word in ("-c", one)]
        place = [f"--git-dir={self.directory}"] if bare else ["-C", where]
        argv = [processes.program("git"), *settings, *place, *words]
        limit = f'ulimit -f {2 * MAX_BYTES // _BLOCK}; exec "$@"'  # a pack or an archive that is larger ends git
        found = processes.run([processes.program("sh"), "-c", limit, "sh", *argv], env=environment(own), check=False, seconds=SECONDS)
        if found.status:
            said = without_passwords(found.stderr.decode(errors="replace").strip(), self.spec)
            hint = next((hint for word, hint in _WORDS if word in said), "")
            raise CommandFailed(["git", *words[:1]], found.status, said or f"ended by signal {-found.status}", hint=hint)
        return found.stdout


def without_passwords(text: str, spec: Spec) -> str:
    """What git says, without the URL's password."""
    return text.replace(spec.source, spec.shown)


def environment(own: bool) -> dict[str, str]:
    """Variables for git. It never asks, and speaks only the protocols that a source may have."""
    kept = {name: os.environ[name] for name in _OWN_ENV if own and name in os.environ}
    ours = {"GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_NOSYSTEM": "1", "GIT_ALLOW_PROTOCOL": "https:http:ssh:git:file"}
    ssh = {} if "GIT_SSH_COMMAND" in kept else {"GIT_SSH_COMMAND": _ssh()}
    nobody = {} if own else {"HOME": "/nonexistent", "GIT_CONFIG_GLOBAL": "/dev/null"}
    return {**processes.CLEAN_ENV, **kept, **ours, **ssh, **nobody}


def _ssh() -> str:
    """ssh that never asks. In an ordinary user's namespaces we are 0, and ssh would take root's home for the user's."""
    home = os.environ.get("HOME", "")
    if not (home and userns.rootless()) or not re.fullmatch(r"/[A-Za-z0-9_./-]+", home):
        return "ssh -oBatchMode=yes"
    files = [f"-oUserKnownHostsFile={home}/.ssh/known_hosts"]
    files += ["-F", f"{home}/.ssh/config"] if os.path.exists(f"{home}/.ssh/config") else []
    names = ("id_ed25519", "id_ecdsa", "id_rsa")
    files += [f"-oIdentityFile={home}/.ssh/{name}" for name in names if os.path.exists(f"{home}/.ssh/{name}")]
    return " ".join(["ssh", "-oBatchMode=yes", *files])

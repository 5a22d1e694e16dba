"""What words may refer to at an instruction: ENV, ARG, and the platform's own; the rules of who wins."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from kubeplay.engine.build.expand import expand
from kubeplay.engine.build.model import BuildOptions, Instruction, Origin
from kubeplay.record import Record

# Usable as --build-arg without an ARG; in RUN's environment only, never in the image, its history or a cache key (Dockerfile reference).
PROXIES = tuple(name for base in ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY") for name in (base, base.lower()))
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"  # where no image says another, as in docker
DEFAULT_SHELL = ("/bin/sh", "-c")
Args = tuple[tuple[str, "str | None"], ...]


def _no_origin(value: str) -> Origin:
    return Origin("unknown", value)


class Scope(Record):
    """`env` are the image's NAME=VALUE; `args` the ARGs declared so far, with value or None; `given` the --build-arg values;
    `outer` the ARGs from before FROM and the platform's, which ARG NAME takes over. `origin` says what a --from names.
    `strict` False: values may hold variables nobody knows yet, so only the form is checked. `lenient`: ${NAME:?} does not fail.
    """

    env: tuple[str, ...] = ()
    args: Args = ()
    outer: Args = ()
    given: tuple[tuple[str, str], ...] = ()
    proxy: tuple[tuple[str, str], ...] = ()
    workdir: str = "/"
    user: str = ""
    shell: tuple[str, ...] = DEFAULT_SHELL
    cmd_set: bool = False
    stop_signal: str = ""
    origin: Callable[[str], Origin] = _no_origin
    strict: bool = True
    lenient: bool = False

    def variables(self) -> Mapping[str, str]:
        """For words and for RUN: ENV wins over an ARG of the same name."""
        return {**{name: value for name, value in self.args if value is not None}, **environment(self.env)}

    def expand(self, word: str, escape: str) -> str:
        """One word. Raises Wrong; where variables are unknown the word stays as it is."""
        if self.strict:
            return expand(word, self.variables() if "$" in word else {}, escape, self.lenient)  # a file may hold thousands of ENVs
        expand(word, {}, escape, lenient=True)
        return word

    def find(self, word: str, escape: str) -> str:
        """What a from= names: ARGs from before the first FROM need no ARG of the stage here (as in buildah)."""
        if not self.strict:
            return self.expand(word, escape)
        outer = {name: value for name, value in self.outer if value is not None}
        return expand(word, {**outer, **self.variables()}, escape, self.lenient)


UNKNOWN = Scope()


def environment(env: tuple[str, ...]) -> dict[str, str]:
    """NAME=VALUE entries as a mapping; the last of a name wins."""
    return dict(entry.split("=", 1) for entry in env if entry.find("=") > 0)


def has_variables(instruction: Instruction) -> bool:
    """Whether a $ is anywhere that is expanded."""
    return "$" in instruction.text or any("$" in (flag.value or "") for flag in instruction.flags)


def platform_args(options: BuildOptions) -> dict[str, str]:
    """TARGETPLATFORM and its like: global, and to be declared by ARG within a stage."""
    found = {}
    for prefix, platform in (("TARGET", options.platform), ("BUILD", options.build_platform)):
        system, _, rest = platform.partition("/")
        machine, _, variant = rest.partition("/")
        found.update({f"{prefix}PLATFORM": platform, f"{prefix}OS": system, f"{prefix}ARCH": machine, f"{prefix}VARIANT": variant})
    return found


def proxies(environ: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """The caller's proxy variables (--http-proxy), for BuildOptions.proxy."""
    return tuple((name, environ[name]) for name in PROXIES if environ.get(name))


def declare(scope: Scope, pairs: Args) -> Args:
    """`scope.args` with ARG's pairs added: --build-arg first, then the default, then what is outside the stage."""
    args = dict(scope.args)
    given, outer = dict(scope.given), dict(scope.outer)
    for name, default in pairs:
        value = given.get(name, default)
        args[name] = outer.get(name) if value is None else value
    return tuple(args.items())

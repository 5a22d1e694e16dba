"""Variables in words: $NAME ${NAME} and the forms with :- - :+ + :? ? # ## % %% / //; then quotes and escapes come off.

The Dockerfile reference defines them after the shell's; in patterns only * and ? are special. There is no word splitting after expansion.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from kubeplay.engine.build.patterns import replace, trim
from kubeplay.engine.build.report import Wrong

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|[0-9]+|[@*#?\-$!]")
_MAX = 1 << 20  # characters a word may grow to: $A$A lines double it each, and an image's config has 4 MiB
_MAX_DEPTH = 50


def expand(word: str, variables: Mapping[str, str], escape: str = "\\", lenient: bool = False) -> str:
    """`word` with variables put in, without its quotes and escapes. Raises Wrong; `lenient` lets ${NAME:?} pass."""
    return _Word(word, variables, escape, lenient=lenient).until("")[0]


def expand_content(text: str, variables: Mapping[str, str]) -> str:
    """A heredoc's content: as in a shell, quotes are letters, and a backslash escapes only $ and itself."""
    return _Word(text, variables, "\\", quotes=False).until("")[0]


def expand_words(text: str, variables: Mapping[str, str], escape: str = "\\") -> list[str]:
    """As `expand`, but white space that a variable brings parts words too (EXPOSE)."""
    from kubeplay.engine.build.words import raw_words

    found = []
    for word in raw_words(text, escape):
        value = expand(word, variables, escape)
        found += [value] if word[:1] in "'\"" else value.split()
    return found


class _Word:
    def __init__(self, text: str, variables: Mapping[str, str], escape: str, quotes: bool = True, lenient: bool = False) -> None:
        self.text, self.at = text, 0
        self.variables, self.escape, self.quotes, self.lenient = variables, escape, quotes, lenient
        self.depth = 0

    def until(self, stop: str, raw: bool = False) -> tuple[str, bool]:
        """Expanded up to `stop` (which is consumed) or the end; and whether `stop` was there. `raw` keeps escapes, for patterns."""
        result: list[str] = []
        size = 0
        while self.at < len(self.text):
            letter = self.text[self.at]
            if letter == stop:
                self.at += 1
                return "".join(result), True
            result.append(self._one(letter, raw))
            size += len(result[-1])
            if size > _MAX:
                raise Wrong(f"a word grows beyond {_MAX} characters")
        return "".join(result), False

    def _one(self, letter: str, raw: bool) -> str:
        if letter == "$":
            return self._dollar()
        if letter == "'" and self.quotes:
            return self._single(raw)
        if letter == '"' and self.quotes:
            return self._double(raw)
        self.at += 1
        if letter != self.escape:
            return letter
        following = self.text[self.at : self.at + 1]
        if not self.quotes and following not in ("$", "\\"):
            return letter
        self.at += 1
        return ("\\" if raw else "") + following

    def _single(self, raw: bool) -> str:
        end = self.text.find("'", self.at + 1)
        if end < 0:
            raise Wrong("a single quote is not closed", "a word with spaces wants the JSON form, an apostrophe a backslash")
        content, self.at = self.text[self.at + 1 : end], end + 1
        return _protect(content) if raw else content

    def _double(self, raw: bool) -> str:
        self.at += 1
        result: list[str] = []
        while self.at < len(self.text):
            letter = self.text[self.at]
            if letter == '"':
                self.at += 1
                content = "".join(result)
                return _protect(content) if raw else content
            if letter == "$":
                result.append(self._dollar())
                continue
            following = self.text[self.at + 1 : self.at + 2]
            escaped = letter == self.escape and following in ('"', "$", self.escape) and following
            result.append(following if escaped else letter)
            self.at += 2 if escaped else 1
        raise Wrong("a double quote is not closed", "a word with spaces wants the JSON form")

    def _name(self) -> str:
        match = _NAME.match(self.text, self.at)
        if not match:
            return ""
        self.at = match.end()
        return match[0]

    def _dollar(self) -> str:
        self.at += 1
        if self.text[self.at : self.at + 1] != "{":
            name = self._name()
            return self.variables.get(name, "") if name else "$"
        self.at += 1
        name = self._name()
        if not name:
            raise Wrong(f"bad substitution ${{{self.text[self.at : self.at + 20]}", "a variable's name follows ${")
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise Wrong("substitutions are nested too deeply")
        value = self._braced(name)
        self.depth -= 1
        return value

    def _braced(self, name: str) -> str:
        operator = self.text[self.at : self.at + 1]
        self.at += 1
        if operator == "}":
            return self.variables.get(name, "")
        if operator == ":":
            operator += self.text[self.at : self.at + 1]
            self.at += 1
        if operator in (":-", "-", ":+", "+", ":?", "?"):
            return self._choose(name, operator, self._rest(name))
        if operator in ("#", "%"):
            greedy = self.text[self.at : self.at + 1] == operator
            self.at += greedy
            return trim(self.variables.get(name, ""), self._rest(name, raw=True), operator == "%", greedy)
        if operator == "/":
            return self._replace(name)
        if not operator or operator == ":":
            raise Wrong(f"${{{name} has no closing }}")
        raise Wrong(f"${{{name}{operator}...}}: {operator!r} is no known modifier", "known are :- - :+ + :? ? # ## % %% / //")

    def _rest(self, name: str, raw: bool = False) -> str:
        word, closed = self.until("}", raw)
        if not closed:
            raise Wrong(f"${{{name} has no closing }}")
        return word

    def _choose(self, name: str, operator: str, word: str) -> str:
        value = self.variables.get(name)
        absent = value is None or (value == "" and operator[0] == ":")
        if operator[-1] == "-":
            return word if absent else value or ""
        if operator[-1] == "+":
            return "" if absent else word
        if absent and not self.lenient:
            why = word or f"is not allowed to be {'unset' if value is None else 'empty'}"
            raise Wrong(f"{name}: {why}", f"give it with --build-arg {name}=VALUE")
        return value or ""

    def _replace(self, name: str) -> str:
        everywhere = self.text[self.at : self.at + 1] == "/"
        self.at += everywhere
        pattern, replaced = self.until("/", raw=True)
        if not replaced:
            raise Wrong(f"${{{name}/...}}: a second / is missing", "as in ${NAME/pattern/replacement}")
        replacement = self._rest(name)
        if name not in self.variables:
            return ""  # * would match the empty value of a variable that is set
        result = replace(self.variables[name], pattern, replacement, everywhere)
        if len(result) > _MAX:
            raise Wrong(f"a word grows beyond {_MAX} characters")
        return result


def _protect(literal: str) -> str:
    """What was quoted in a pattern means itself."""
    return re.sub(r"([\\*?])", r"\\\1", literal)

"""Syntax of names (semantics VL1, VL3): each function returns what is wrong, in the server's words.

An empty list means fine. The texts name the rule and its expression, because that is what people
search for and what verdicts/ records.
"""

from __future__ import annotations

import re

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = _LABEL + r"(\." + _LABEL + ")*"
_LABEL_1035 = "[a-z]([-a-z0-9]*[a-z0-9])?"
_RELAXED_SUBDOMAIN = r"[_a-z0-9]([-_a-z0-9]*[a-z0-9])?(\.[_a-z0-9]([-_a-z0-9]*[a-z0-9])?)*"
_QUALIFIED = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_CONFIG_KEY = "[-._a-zA-Z0-9]+"
_HTTP_HEADER = "[-A-Za-z0-9]+"
_PERCENT = "[0-9]+%"
_SYSCTL_SEGMENT = "[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
_SYSCTL = "(" + _SYSCTL_SEGMENT + r"[\./])*" + _SYSCTL_SEGMENT
_C_IDENTIFIER = "[A-Za-z_][A-Za-z0-9_]*"

label_match = re.compile(_LABEL).fullmatch
subdomain_match = re.compile(_SUBDOMAIN).fullmatch
qualified_match = re.compile(_QUALIFIED).fullmatch
# Rules that are a set of letters need no expression, and the rare ones are compiled when first asked for:
# compiling all of them took 1.5 ms of every start.
_LOWER, _DIGITS = "abcdefghijklmnopqrstuvwxyz", "0123456789"
_PORT_LETTERS = frozenset(_LOWER + _DIGITS + "-")
_HEADER_LETTERS = frozenset(_LOWER + _LOWER.upper() + _DIGITS + "-")
_KEY_LETTERS = _HEADER_LETTERS | frozenset("._")
_ENV_LETTERS = frozenset(map(chr, range(0x20, 0x7F))) - {"="}

_LABEL_TEXT = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-',"
    " and must start and end with an alphanumeric character"
)
_LABEL_1035_TEXT = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character,"
    " and end with an alphanumeric character"
)
_SUBDOMAIN_TEXT = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.',"
    " and must start and end with an alphanumeric character"
)
_RELAXED_TEXT = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-', '_' or '.',"
    " and must start with an alphanumeric character or '_' and end with an alphanumeric character"
)
_QUALIFIED_TEXT = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character"
_CONFIG_KEY_TEXT = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'"

LABEL_MAX = 63
SUBDOMAIN_MAX = 253
EMPTY = "must be non-empty"
# generateName is cut so that five random characters still fit [apiserver names/generate.go].
GENERATED_BASE_MAX = 58


def max_length(limit: int) -> str:
    """The server's words for a text that is too long."""
    return f"must be no more than {limit} characters"


def regex_text(text: str, expression: str, *examples: str) -> str:
    """The server's way to state a syntax rule: text, examples, expression."""
    if not examples:
        return f"{text} (regex used for validation is '{expression}')"
    shown = " or ".join(f"'{example}', " for example in examples)
    return f"{text} (e.g. {shown}regex used for validation is '{expression}')"


def dns_label(text: str) -> list[str]:
    """DNS-1123 label: containers, volumes, namespaces, Services, hostnames."""
    if len(text) <= LABEL_MAX and label_match(text):
        return []
    faults = [max_length(LABEL_MAX)] if len(text) > LABEL_MAX else []
    if not label_match(text):
        faults.append("must not contain dots" if subdomain_match(text) else regex_text(_LABEL_TEXT, _LABEL, "my-name", "123-abc"))
    return faults


def dns_label_1035(text: str) -> list[str]:
    """DNS-1035 label: starts with a letter."""
    faults = [max_length(LABEL_MAX)] if len(text) > LABEL_MAX else []
    if not re.fullmatch(_LABEL_1035, text):
        faults.append(regex_text(_LABEL_1035_TEXT, _LABEL_1035, "my-name", "abc-123"))
    return faults


def dns_subdomain(text: str) -> list[str]:
    """DNS-1123 subdomain: pods, Deployments, ConfigMaps, Secrets, claims and most other names."""
    if len(text) <= SUBDOMAIN_MAX and subdomain_match(text):
        return []
    faults = [max_length(SUBDOMAIN_MAX)] if len(text) > SUBDOMAIN_MAX else []
    if not subdomain_match(text):
        faults.append(regex_text(_SUBDOMAIN_TEXT, _SUBDOMAIN, "example.com"))
    return faults


def relaxed_subdomain(text: str) -> list[str]:
    """A DNS search path, where `_` is allowed (DN2)."""
    faults = [max_length(SUBDOMAIN_MAX)] if len(text) > SUBDOMAIN_MAX else []
    if not re.fullmatch(_RELAXED_SUBDOMAIN, text):
        faults.append(regex_text(_RELAXED_TEXT, _RELAXED_SUBDOMAIN, "example.com"))
    return faults


def wildcard_subdomain(text: str) -> list[str]:
    """`*.` and a DNS subdomain."""
    if text.startswith("*.") and not dns_subdomain(text[2:]):
        return []
    expression = r"\*\." + _SUBDOMAIN
    return [
        regex_text("a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain", expression, "*.example.com")
    ]


def fqdn(text: str) -> list[str]:
    """A fully qualified domain name: a subdomain with at least one dot, a trailing dot allowed."""
    if not text:
        return ["Required value"]
    bare = text[:-1] if text.endswith(".") else text
    faults = dns_subdomain(bare)
    if faults:
        return faults
    if "." not in bare:
        return ["should be a domain with at least two segments separated by dots"]
    return [f for part in bare.split(".") for f in dns_label(part)]


def qualified(text: str) -> list[str]:
    """`[prefix/]name`: label and annotation keys, resource names, conditions, finalizers."""
    prefix, slash, name = text.rpartition("/")
    if "/" in prefix:
        rule = regex_text(_QUALIFIED_TEXT, _QUALIFIED, "MyName", "my.name", "123-abc")
        return [f"a valid label key {rule} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"]
    faults: list[str] = []
    if slash and not prefix:
        faults.append("prefix part " + EMPTY)
    elif slash:
        faults.extend("prefix part " + fault for fault in dns_subdomain(prefix))
    if not name:
        faults.append("name part " + EMPTY)
    elif len(name) > LABEL_MAX:
        faults.append("name part " + max_length(LABEL_MAX))
    if not qualified_match(name):
        faults.append("name part " + regex_text(_QUALIFIED_TEXT, _QUALIFIED, "MyName", "my.name", "123-abc"))
    return faults


def domain_prefixed(text: str) -> list[str]:
    """`domain/path`, both parts required."""
    if not text:
        return [EMPTY]
    host, slash, path = text.partition("/")
    if not slash or not host or not path:
        return ['must be a domain-prefixed path (such as "acme.io/foo")']
    return dns_subdomain(host)


def config_key(text: str) -> list[str]:
    """A key of a ConfigMap or Secret (VL2)."""
    faults = [max_length(SUBDOMAIN_MAX)] if len(text) > SUBDOMAIN_MAX else []
    if not text or not _KEY_LETTERS.issuperset(text):
        faults.append(regex_text(_CONFIG_KEY_TEXT, _CONFIG_KEY, "key.name", "KEY_NAME", "key-name"))
    return faults + dotted(text)


def dotted(text: str) -> list[str]:
    """`.`, `..` and names that start with `..` are the atomic writer's own (VO4)."""
    if text in (".", ".."):
        return [f"must not be '{text}'"]
    return ["must not start with '..'"] if text.startswith("..") else []


def env_name(text: str) -> list[str]:
    """An environment variable: any printable ASCII but `=` (EN4)."""
    if text and _ENV_LETTERS.issuperset(text):
        return []
    return [EMPTY] if not text else ["a valid environment variable name must consist only of printable ASCII characters other than '='"]


def c_identifier(text: str) -> list[str]:
    """A name of C."""
    if re.fullmatch(_C_IDENTIFIER, text):
        return []
    rule = "a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric characters or '_'"
    return [regex_text(rule, _C_IDENTIFIER, "my_name", "MY_NAME", "MyName")]


def port_name(text: str) -> list[str]:
    """An IANA service name: the name of a container port (VL3)."""
    faults = [max_length(15)] if len(text) > 15 else []
    if not text or not _PORT_LETTERS.issuperset(text):
        faults.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not any("a" <= letter <= "z" for letter in text):
        faults.append("must contain at least one letter (a-z)")
    if "--" in text:
        faults.append("must not contain consecutive hyphens")
    if text and (text[0] == "-" or text[-1] == "-"):
        faults.append("must not begin or end with a hyphen")
    return faults


def port_number(port: int) -> list[str]:
    """A port number."""
    return [] if 1 <= port <= 65535 else ["must be between 1 and 65535, inclusive"]


def http_header(text: str) -> list[str]:
    """The name of an HTTP header."""
    if text and _HEADER_LETTERS.issuperset(text):
        return []
    return [regex_text("a valid HTTP header must consist of alphanumeric characters or '-'", _HTTP_HEADER, "X-Header-Name")]


def percent(text: str) -> list[str]:
    """`25%`."""
    if re.fullmatch(_PERCENT, text):
        return []
    return [regex_text("a valid percent string must be a numeric string followed by an ending '%'", _PERCENT, "1%", "93%")]


def sysctl(text: str) -> list[str]:
    """The name of a sysctl, with dots or slashes."""
    if len(text) > SUBDOMAIN_MAX:
        return [max_length(SUBDOMAIN_MAX)]
    return [] if re.fullmatch(_SYSCTL, text) else [f"must have at most 253 characters and match regex ^{_SYSCTL}$"]


def generate_base(text: str) -> str:
    """A generateName as it is checked: its trailing dash is not at fault, something follows it."""
    return text[:-2] + "a" if len(text) > 1 and text.endswith("-") else text


def generated(text: str) -> str:
    """A name as it would come out of `text`, to be checked before a real one is drawn."""
    return text[:GENERATED_BASE_MAX] + "xxxxx"

"""Templates: what they may do, and whose line a fault is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kubeplay.errors import InvalidInput, KubeplayError
from kubeplay.kustomize import template, values

VALUES: dict[str, Any] = {"name": "web", "ports": [80, 443], "labels": {"a": "b", "n": "1"}, "on": True, "my-key": "x"}
RENDERED = [
    ("{{ name }}-1\n", "web-1\n"),
    ("{% for port in ports %}\n- {{ port }}\n{% endfor %}\n", "- 80\n- 443\n"),
    ("a:\n  {{ labels | to_yaml | indent(2) }}\n", 'a:\n  a: b\n  "n": "1"\n'),
    ("{{ ports | to_yaml }}\n", "- 80\n- 443\n"),
    ("{{ '** %s (c) 2024 %5.1f' % (name, 2) }}\n", "** web (c) 2024   2.0\n"),
    ("{{ '%04d' | format(7) }} {{ '{:>4} {}'.format(7, 12345) }}\n", "0007    7 12345\n"),
    ("{{ 'a'.ljust(3) }}{{ 'b' | center(3) }}{{ 'c' | indent(2, true) }}\n", "a   b   c\n"),
    ("{{ 2 ** 40 }} {{ 'a-b'.replace('-', '+') }}\n", "1099511627776 a+b\n"),
    ("{{ on | to_yaml }} {{ name | quote }} {{ 5 | quote }} {{ labels | to_json }}\n", 'true "web" "5" {"a": "b", "n": "1"}\n'),
    ("{{ name | b64encode }} {{ 'd2Vi' | b64decode }}\n", "d2Vi web\n"),
    ("{% if on %}\nyes: it\n{% else %}\nno: it\n{% endif %}\n", "yes: it\n"),
    ("{{ values['my-key'] }} {{ missing | default('d') }}\n", "x d\n"),
    ("{% set all = [] %}{% macro m(x) %}<{{ x }}>{% endmacro %}{{ m(name) }}\n", "<web>\n"),
    ("{# gone #}\nkept\r\n", "kept\n"),
]


@pytest.mark.parametrize("text,expected", RENDERED)
def test_templates(text: str, expected: str) -> None:
    assert template.render(text.encode(), "t", VALUES).text == expected


FAULTS = [
    ("a\n{{ nothing }}\n", "t:2: 'nothing' is undefined"),
    ("a: {{ labels.c.d }}\n", "t:1: 'dict object' has no attribute 'c'"),
    ("a\n\n{% if %}\n", "t:3: Expected an expression"),
    ("{% for x in ports %}\n", "t:1: Unexpected end of template"),
    ("a\n{{ name | nofilter }}\n", "t:2: No filter named 'nofilter'"),
    ("{% include 'other' %}\n", "no loader for this environment"),
    ("x\n{{ ports / 2 }}\n", "t:2: unsupported operand"),
    ("{{ 1 / 0 }}\n", "t:1: division by zero"),
    ("{{ ''.__class__.__mro__ }}\n", "t:1: "),
    ("{{ self.__init__.__globals__ }}\n", "t:1: "),
    ("{{ ports.append(1) }}\n", "t:1: "),
    ("{{ 'a' * 100000000 }}\n", "t:1: a text or list of more than"),
    ("{{ 10 ** 10000000 }}\n", "t:1: an exponent above 64"),
    ("{{ '%099999999d' % 1 }}\n", "t:1: a format of a width"),
    ("{{ '%(a)99999999d' % {'a': 1} }}\n", "t:1: a format of a width"),
    ("{{ ('x' * 10001 ~ '%99999999d') % 1 }}\n", "t:1: a format of a width"),
    ("{{ '%99999999d' | format(1) }}\n", "t:1: a format of a width"),
    ("{{ '{:99999999}'.format(1) }}\n", "t:1: a format of a width"),
    ("{{ '{:{}}'.format(1, 99999999) }}\n", "t:1: a format of a width"),
    ("{{ 'a'.ljust(99999999) }}\n", "t:1: a text or list of more than"),
    ("{{ 'a' | center(99999999) }}\n", "t:1: a text or list of more than"),
    ("{{ 'a' | indent(width=99999999, first=true) }}\n", "t:1: a text or list of more than"),
    ("{{ ((((10 ** 64) ** 64) ** 64) ** 64) % 7 }}\n", "t:1: a number of more than 100000 bits"),
    ("{% for x in range(100000000) %}{% endfor %}\n", "Range too big"),
    ("{% for a in range(1000) %}{% for b in range(1000) %}{{ 'x' * 1000 }}{% endfor %}{% endfor %}\n", "comes to more than 64 MiB"),
]


@pytest.mark.parametrize("text,message", FAULTS)
def test_faults_are_told_by_the_templates_line(text: str, message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        template.render(text.encode(), "t", VALUES)
    assert message in str(caught.value)


def test_a_template_that_does_not_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(template, "SECONDS", 0.05)
    text = b"{% for a in range(300) %}{% for b in range(10000) %}{% endfor %}{% endfor %}"
    with pytest.raises(InvalidInput, match="not rendered after"):
        template.render(text, "t", {})


LINES = "{# a #}\na: 1\n{% for port in ports %}\nb:\n  - {{ port }}\n{% endfor %}\nc: {{ labels | to_yaml\n  | indent(2) }}\nd: e\n"


def test_lines_of_the_text_are_those_of_the_template() -> None:
    rendering = template.render(LINES.encode(), "t", VALUES)
    assert rendering.text.split("\n") == ["a: 1", "b:", "  - 80", "b:", "  - 443", "c: a: b", '  "n": "1"', "d: e", ""]
    assert [rendering.line(line) for line in range(1, 10)] == [2, 4, 5, 4, 5, 7, 7, 9, 10]
    assert rendering.line(11) == 0


def test_where_marks_would_change_the_text_no_line_is_told() -> None:
    rendering = template.render(b"{% set t %}x\ny{% endset %}{{ t | length }}\n", "t", {})
    assert rendering.text == "3\n"
    assert rendering.line(1) == 0


SET = [
    (["a=b"], {"a": "b"}),
    (["a.b.c=1,d=true"], {"a": {"b": {"c": 1}}, "d": True}),
    (["a[1].b=x"], {"a": [None, {"b": "x"}]}),
    (["a={x,2}"], {"a": ["x", 2]}),
    (["a=x\\,y", "b\\.c=1"], {"a": "x,y", "b.c": 1}),
    (["a=null", "b=01", "c=-5", "d=1.5", "e="], {"b": "01", "c": -5, "d": "1.5", "e": ""}),
    (["file.x=2"], {"file": {"x": 2, "y": [1]}}),
    (["a=x=y"], {"a": "x=y"}),
]


@pytest.mark.parametrize("pairs,expected", SET)
def test_set(pairs: list[str], expected: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "v.yaml").write_text("file: {x: 1, y: [1]}\n" if "file.x=2" in pairs else "")
    assert values.merged([str(tmp_path / "v.yaml")], pairs, ()) == expected


def test_texts_stay_texts_and_files_are_merged(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("image: {name: a, tag: 1}\nlist: [1]\ngone: x\n")
    (tmp_path / "b.yaml").write_text("image: {tag: 2}\nlist: [2]\ngone: null\n")
    found = values.merged([str(tmp_path / "a.yaml"), str(tmp_path / "b.yaml")], ["n=1"], ["n=1", "t=true"])
    assert found == {"image": {"name": "a", "tag": 2}, "list": [2], "n": "1", "t": "true"}


@pytest.mark.parametrize("pair", ["a", "=b", "[0]=b", "a[x]=1", "a[70000]=1", "a..b=1", ".".join("a" * 40) + "=1"])
def test_sets_that_cannot_be(pair: str) -> None:
    with pytest.raises(InvalidInput):
        values.merged((), [pair], ())


def test_files_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "list.yaml").write_text("- a\n")
    for name in ("list.yaml", "gone.yaml"):
        with pytest.raises(KubeplayError):
            values.merged([str(tmp_path / name)], (), ())

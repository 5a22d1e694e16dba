"""Go templates (cli/gotemplate.py, cli/gojinja.py): what docker, podman and kubectl users write."""

from __future__ import annotations

import pytest

from kubeplay.cli import gotemplate
from kubeplay.errors import InvalidInput

VALUE = {
    "ID": "abc", "Names": ["a", "b"], "State": {"Status": "running", "Pid": 42, "OK": True, "Zero": 0},
    "Labels": {"app": "web", "a.b/c": "x"},
    "Empty": "", "None": None, "Mounts": [{"Name": "m1", "RW": True}, {"Name": "m2", "RW": False}], "Size": 3.0, "Hot": "<&>\x1b",
}  # fmt: skip

CASES = [
    ("{{.ID}}", "abc"),
    ("{{ .ID }}-{{.State.Status}}", "abc-running"),
    ("{{.id}}", "abc"),
    ("{{.State.Pid}} {{.State.OK}} {{.Size}}", "42 true 3"),
    ("plain", "plain"),
    (r"{{.ID}}\t{{.ID}}\n", "abc\tabc\n"),
    ("{{.Names}}", "[a b]"),
    ("{{.Labels}}", "map[a.b/c:x app:web]"),
    ("{{.None}}", "<no value>"),
    ("{{.State.Nothing}}", "<no value>"),
    ("{{.State.Nothing.More}}", "<no value>"),
    ("{{json .Names}}", '["a","b"]'),
    ("{{json .}}", None),
    ("{{.Names | json}}", '["a","b"]'),
    ('{{join .Names ", "}}', "a, b"),
    ('{{join ", " .Names}}', "a, b"),
    ("{{upper .ID}}{{.ID | lower | upper}}", "ABCABC"),
    ("{{len .Names}} {{len .ID}} {{len .Labels}} {{len .None}}", "2 3 2 0"),
    ('{{index .Labels "a.b/c"}}', "x"),
    ('{{index .Labels "no"}}', "<no value>"),
    ("{{index .Names 1}}", "b"),
    ('{{(index .Mounts 0).Name}}', "m1"),
    ("{{range .Names}}<{{.}}>{{end}}", "<a><b>"),
    ("{{range $i, $n := .Names}}{{$i}}={{$n}} {{end}}", "0=a 1=b "),
    ("{{range $k, $v := .Labels}}{{$k}}={{$v}};{{end}}", "a.b/c=x;app=web;"),
    ("{{range .Mounts}}{{.Name}}{{if .RW}}!{{end}} {{$.ID}} {{end}}", "m1! abc m2 abc "),
    ("{{range .None}}x{{else}}none{{end}}", "none"),
    ("{{range .Names}}{{if eq . \"b\"}}{{break}}{{end}}{{.}}{{end}}", "a"),
    ("{{if .Empty}}yes{{else if .State.Zero}}zero{{else}}no{{end}}", "no"),
    ('{{if and .ID (eq .State.Status "running")}}up{{end}}', "up"),
    ('{{if or .Empty .ID}}x{{end}}{{if not .Empty}}y{{end}}', "xy"),
    ("{{with .State}}{{.Pid}}{{else}}none{{end}}", "42"),
    ("{{with .Empty}}x{{else}}{{.ID}}{{end}}", "abc"),
    ("{{$x := .ID}}{{$x}}{{$x}}", "abcabc"),
    ('{{printf "%s:%d %q %-5s|%5s|%v" .ID .State.Pid .ID .ID .ID .Names}}', 'abc:42 "abc" abc  |  abc|[a b]'),
    ('{{printf "%.2f%%" .Size}}', "3.00%"),
    ("{{- .ID -}}  x", "abcx"),
    ("a {{- .ID }} b", "aabc b"),
    ("{{/* nothing */}}x", "x"),
    ('{{"{{"}}{{`}}`}}', "{{}}"),
    ("{{if gt .State.Pid 41}}gt{{end}}{{if ne .ID \"x\"}}ne{{end}}", "gtne"),
    ("{{range split \"a,b\" \",\"}}{{.}};{{end}}", "a;b;"),
    ("{% raw %}{{.ID}}{# x #}", "{% raw %}abc{# x #}"),
    ("{{truncate .State.Status 3}} {{slice .ID 1 2}} {{title .ID}}", "run b Abc"),
    ("{{println .ID}}", "abc\n"),
]  # fmt: skip


@pytest.mark.parametrize(("template", "wanted"), CASES, ids=[template for template, _ in CASES])
def test_templates(template: str, wanted: str | None) -> None:
    made = gotemplate.compile(template)(VALUE)
    if wanted is None:
        import json

        assert json.loads(made) == VALUE
    else:
        assert made == wanted


@pytest.mark.parametrize(
    "template",
    ["{{.ID", "{{if .ID}}x", "{{end}}", "{{else}}", "{{nosuch .ID}}", "{{template \"x\"}}", "{{define \"x\"}}{{end}}", "{{.ID ! .ID}}",
     "{{_field .}}",
     "{{call .ID}}", "{{index}}", "{{.NoSuchField}}", "{{range .Names}}{{.NoSuch}}{{end}}", "{{index .Names 9}}", "{{(.ID}}", "{{.ID | }}",
     '{{printf "%999999999s" .ID}}', "{{range 99999999}}x{{end}}", "{{range .ID}}{{end}}"],
)  # fmt: skip
def test_a_bad_template_is_an_error_with_words(template: str) -> None:
    with pytest.raises(InvalidInput, match="template"):
        gotemplate.compile(template)(VALUE)


@pytest.mark.parametrize(
    "template",
    ["{{.__class__}}", "{{.ID.__class__}}", "{{.Labels.__init__.__globals__}}", '{{index .Labels "__class__"}}', "{{.Names.append}}"],
)
def test_nothing_of_python_can_be_reached(template: str) -> None:
    try:
        assert gotemplate.compile(template)(VALUE) == "<no value>"
    except InvalidInput:
        pass


def test_jinja_in_a_value_stays_text() -> None:
    assert gotemplate.compile("{{upper .x}}{{if .x}}{{.x}}{{end}}")({"x": "{{ 7*7 }}{% raw %}"}) == "{{ 7*7 }}{% RAW %}{{ 7*7 }}{% raw %}"


def test_plain_fields_need_no_jinja2() -> None:
    import subprocess
    import sys

    code = """
import sys
from kubeplay.cli import gotemplate
assert gotemplate.compile('{{.A}} {{.B.C}}')({'A': 1, 'B': {'C': 2}}) == '1 2'
assert 'jinja2' not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_fields_of_a_table_template() -> None:
    assert gotemplate.fields(r"{{.ID}}\t{{upper .Names}} {{if .State.Pid}}{{end}}") == ["ID", "Names", "State"]

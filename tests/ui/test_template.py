"""Templates against what Docker 28 prints for the same template and document."""

import pytest

from tiffin.errors import InvalidError
from tiffin.ui.evaluate import HEADINGS, render, to_json
from tiffin.ui.template import parse

IMAGE = {
    "Id": "sha256:" + "a" * 64,
    "RepoTags": ["finca-serving:latest"],
    "Size": 123,
    "Config": {
        "Env": ["PATH=/usr/bin", "A=b c"],
        "Cmd": ["uvicorn", "serve:app"],
        "Labels": {"x": "y", "b.c": "d"},
        "ExposedPorts": {"8000/tcp": {}},
        "Entrypoint": None,
        "WorkingDir": "/app",
    },
    "RootFS": {"Type": "layers", "Layers": ["sha256:" + "1" * 64, "sha256:" + "2" * 64]},
    "Architecture": "amd64",
    "GraphDriver": {"Data": None, "Name": "overlay2"},
    "N": 1.5,
    "T": True,
}


# Left: a template. Right: what `docker inspect --format` of Docker 28.2 prints for the document above.
@pytest.mark.parametrize(
    ("template", "printed"),
    [
        ("{{.Config.Env}}", "[PATH=/usr/bin A=b c]"),
        ("{{.Config.Labels}}", "map[b.c:d x:y]"),
        ("{{.N}} {{.T}} {{.Size}}", "1.5 true 123"),
        ("{{.GraphDriver.Data}}", "<no value>"),
        ("{{json .Config.Cmd}}", '["uvicorn","serve:app"]'),
        ('{{index .Config.Labels "b.c"}}', "d"),
        ('{{index .Config.Labels "nope"}}', ""),
        ("{{.Config.Labels.x}} {{.Config.Labels.nope}}", "y <no value>"),
        ("{{len .RootFS.Layers}}", "2"),
        ("{{range .Config.Env}}[{{.}}]{{end}}", "[PATH=/usr/bin][A=b c]"),
        ("{{range $k,$v := .Config.Labels}}{{$k}}={{$v}} {{end}}", "b.c=d x=y "),
        ("{{range $i, $e := .RepoTags}}{{$i}}{{$e}}{{end}}", "0finca-serving:latest"),
        ("{{if .T}}yes{{else}}no{{end}}", "yes"),
        ('{{if eq .Architecture "arm64"}}A{{else if .T}}B{{else}}C{{end}}', "B"),
        ("{{with .Config.WorkingDir}}<{{.}}>{{end}}", "</app>"),
        ("{{.Config.ExposedPorts}}", "map[8000/tcp:map[]]"),
        ('{{printf "%s-%d" .RootFS.Type .Size}}', "layers-123"),
        ('{{printf "%.12s" .Id}}', "sha256:aaaaa"),
        ('{{.Id | printf "%.12s"}}', "sha256:aaaaa"),
        ("{{slice .Id 7 19}}", "a" * 12),
        ("{{index .Config.Env 0}}", "PATH=/usr/bin"),
        ("{{(index .RootFS.Layers 0)}}", "sha256:" + "1" * 64),
        ("{{.Config.Entrypoint}}", "[]"),
        ("a {{- /* note */ -}} b", "ab"),
        ('{{println "a"}}', "a\n"),
        ("{{not .T}}", "false"),
        ("{{and .T .Size}}", "123"),
        ('{{or "" "d"}}', "d"),
        ("{{range .GraphDriver.Data}}x{{else}}none{{end}}", "none"),
        ("{{$x := .Size}}{{$x}}", "123"),
        ('{{join .Config.Entrypoint ","}}|', "|"),
        ("{{.Config.Healthcheck}} {{if .Config.Healthcheck}}y{{else}}n{{end}}", "<nil> n"),
        ("{{.Config.Shell}}{{.Config.StopSignal}}", "[]"),
        ("{{json .Config.Healthcheck}}{{range .Config.Healthcheck}}x{{end}}", "null"),
        ("{{range .Config.Env}}{{.}}{{break}}-{{end}}!", "PATH=/usr/bin!"),
        ('{{range .Config.Env}}{{if eq . "A=b c"}}{{continue}}{{end}}{{.}};{{end}}', "PATH=/usr/bin;"),
        ("{{range .RepoTags}}{{range $.Config.Env}}e{{break}}{{end}}t{{end}}", "et"),
        ("plain", "plain"),
    ],
)
def test_templates_print_what_docker_prints(template, printed):
    assert render(parse(template), IMAGE) == printed


@pytest.mark.parametrize(
    ("template", "says"),
    [
        ("{{", "not closed"),
        ("{{if}}", "no value"),
        ("{{if .T}}x", "no {{end}}"),
        ("{{end}}", "without an if"),
        ("{{foo .Id}}", "no function"),
        ("{{.Nope}}", "no such field"),
        ("{{.Config.Healthcheck.Test}}", "there is no .Healthcheck"),
        ("{{break}}", "not supported"),
        ("{{range .RepoTags}}x{{end}}{{continue}}", "not supported"),
        ("{{.Size.X}}", "has none"),
        ("{{index .Config.Env 9}}", "out of range"),
        ("{{upper}}", "upper failed"),
        ("{{(.T}}", "not closed"),
        ('{{template "x"}}', "not supported"),
        ("{{.T }} {{ ! }}", "cannot read"),
        ("{{range .Size}}{{end}}", "neither a list nor a map"),
        ("{{$x}}", "not defined"),
        ("{{.Size 3}}", "takes no arguments"),
    ],
)
def test_a_bad_template_is_an_error_in_words(template, says):
    with pytest.raises(InvalidError, match=says.replace("{", r"\{").replace("}", r"\}")):
        render(parse(template), IMAGE)


def test_a_misspelt_field_and_function_name_the_nearest():
    with pytest.raises(InvalidError) as caught:
        render(parse("{{.Architecture1}}"), IMAGE)
    assert ".Architecture" in caught.value.hint
    with pytest.raises(InvalidError) as caught:
        render(parse("{{upper2 .Id}}"), IMAGE)
    assert "upper" in caught.value.hint


def test_functions_of_docker_s_listings():
    row = {"Repository": "localhost:5000/base/py", "Tag": "3.11.8-slim", "ID": "bbbbbbbbbbbb"}
    template = (
        '{{.Repository | title}} {{truncate .ID 5}} {{pad .Tag 1 2}}| {{split .Tag "."}} '
        '{{join (split .Tag ".") "-"}}'
    )
    assert (
        render(parse(template), row)
        == "Localhost:5000/Base/Py bbbbb  3.11.8-slim  | [3 11 8-slim] 3-11-8-slim"
    )


def test_a_heading_is_not_changed_by_functions():
    assert (
        render(parse("{{.ID | upper}} {{json .Tag}}"), {"ID": "Image Id", "Tag": "Tag"}, HEADINGS)
        == "Image Id Tag"
    )


def test_a_field_may_be_a_method():
    row = {"Label": {"k": "v"}.get}
    assert render(parse('{{.Label "k"}}'), row) == "v"


def test_json_escapes_what_html_would_read():
    assert to_json({"a": "<x>&", "f": print}) == '{"a":"\\u003cx\\u003e\\u0026"}'

"""Checks, outlines and targets by the engine: where bases are read from, and what is not known."""

import hashlib
import json
import os

import pytest
from tests.suites.images import make_image

from tiffin.engine.building import calls
from tiffin.engine.building.calldocuments import check_document, outline_document, targets_document
from tiffin.engine.building.request import BuildRequest
from tiffin.errors import NotFoundError
from tiffin.events import Notice

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a store with true owners belongs to root")

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"


@pytest.fixture
def ask(engine, tmp_path):
    def call(text, method=calls.check, **request):
        (tmp_path / "Dockerfile").write_text(text)
        return method(engine, BuildRequest(tmp_path, **request))

    return call


def found(checked):
    return [(each.rule.name, each.span.line) for each in checked.findings]


def offer(double, name, **config):
    """Put an image without its layer into the double: whoever asks for that is refused."""
    document = {"architecture": "amd64", "os": "linux", "config": config}
    layer = "sha256:" + "1" * 64
    raw = json.dumps(document | {"rootfs": {"type": "layers", "diff_ids": [layer]}}).encode()
    double.put(name, raw)
    entry = {"mediaType": CONFIG, "digest": f"sha256:{hashlib.sha256(raw).hexdigest()}", "size": len(raw)}
    gone = {"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": layer, "size": 9}
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": entry, "layers": [gone]}
    double.put(name, json.dumps(manifest).encode(), MANIFEST, "1.0")


def test_variables_of_a_base_in_the_store_are_known(engine, ask):
    make_image(engine, "base:1.0", env=("HERE=1",), shell=("/bin/bash", "-c"))
    checked = ask("FROM base:1.0\nENV A=$HERE B=$THERE\nCMD x\n")
    assert (found(checked), checked.error) == ([("UndefinedVar", 2)], None)


def test_a_base_in_a_registry_is_read_and_not_pulled(engine, ask, double, events):
    offer(double, "base", Env=["HERE=1"])
    checked = ask(f"FROM {double.address}/base:1.0\nENV A=$HERE B=$THERE\n")
    assert (found(checked), checked.error, events) == ([("UndefinedVar", 2)], None, [])
    assert list(engine.tags.all()) == []
    assert [one for one in double.requests("GET") if "1111" in one] == []


def test_a_base_that_the_registry_does_not_have_is_an_error(ask, double):
    checked = ask(f"FROM {double.address}/none:1.0\nWORKDIR a\n")
    assert isinstance(checked.error, NotFoundError)
    assert checked.error.where.line == 1


def test_of_a_base_that_cannot_be_read_nothing_is_said(ask, events):
    checked = ask("FROM 127.0.0.1:1/base:1.0\nENV A=$HERE\nWORKDIR a\n")
    assert (found(checked), checked.error) == ([("WorkdirRelativePath", 3)], None)
    (event,) = events
    assert isinstance(event, Notice)
    assert "127.0.0.1:1/base:1.0 cannot be read" in event.message
    assert event.where.line == 1


def test_a_base_is_asked_for_once_for_all_platforms(ask, double):
    offer(double, "base")
    text = f"FROM --platform=$BUILDPLATFORM {double.address}/base:1.0\nENV A=1\n"
    assert ask(text, platforms=("linux/amd64,linux/arm64",)).error is None
    assert double.requests("HEAD") == ["HEAD /v2/base/manifests/1.0"]


def test_what_is_found_before_an_error_is_told_with_it(ask):
    checked = ask("FROM scratch AS A\nCOPY --from=1 / /\n")
    assert found(checked) == [("StageNameCasing", 1)]
    assert checked.error.where.line == 2
    document = check_document(checked)
    assert [each["ruleName"] for each in document["warnings"]] == ["StageNameCasing"]
    assert document["buildError"]["location"] == {"ranges": [{"start": {"line": 2}, "end": {"line": 2}}]}


def test_the_document_of_a_check_is_buildkits(ask):
    document = check_document(ask("FROM scratch\nENV A \\\n b\n"))
    assert document == {
        "warnings": [
            {
                "ruleName": "LegacyKeyValueFormat",
                "description": "Legacy key/value format with whitespace separator should not be used",
                "url": "https://docs.docker.com/go/dockerfile/rule/legacy-key-value-format/",
                "detail": '"ENV key=value" should be used instead of legacy "ENV key value" format',
                "location": {
                    "ranges": [{"start": {"line": n}, "end": {"line": n}} for n in (2, 3)],
                },
            }
        ],
        "sources": [
            {"filename": "Dockerfile", "data": "RlJPTSBzY3JhdGNoCkVOViBBIFwKIGIK", "language": "Dockerfile"}
        ],
    }
    assert check_document(ask("FROM scratch\n"))["warnings"] is None
    unused = check_document(ask("FROM scratch\n", build_args={"A": "1"}))["warnings"]
    assert unused[0]["location"] == {"sourceIndex": -1}


def test_documents_of_outline_and_targets_are_buildkits(ask):
    text = "FROM scratch AS a\n# b is second\nFROM --platform=$BUILDPLATFORM a AS b\nARG X=1\nFROM b\n"
    place = {"ranges": [{"start": {"line": 4}, "end": {"line": 4}}]}
    outlined = outline_document(ask(text, calls.outline, target="b"))
    sources = outlined.pop("sources")
    assert outlined == {
        "name": "b",
        "description": "is second",
        "args": [{"name": "X", "value": "1", "location": place}],
    }
    document = targets_document(ask(text, calls.targets))
    assert document["sources"] == sources
    assert [{key: each[key] for key in each if key != "location"} for each in document["targets"]] == [
        {"name": "a", "base": "scratch"},
        {"name": "b", "description": "is second", "base": "a", "platform": "$BUILDPLATFORM"},
        {"default": True, "base": "b"},
    ]

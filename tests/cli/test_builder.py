"""`tiffin builder` and `tiffin buildx`: what has a meaning works, what has none is answered."""

import json
from types import SimpleNamespace

import pytest

from tiffin.cli import catalog
from tiffin.engine.prune import CacheUsage
from tiffin.oci.platform import Platform

STEP = CacheUsage("a" * 12, "regular", 3_000_000, 0.0, 0.0, 2, in_use=True, shared=True)
MOUNT = CacheUsage("b" * 12, "exec.cachemount", 5_000, 0.0, 86_400.0, 1, in_use=False, shared=False)


@pytest.fixture
def usage(engine):
    engine.answers("prune", cache_usage=[STEP, MOUNT])


@pytest.fixture
def builder(engine):
    engine.answers("foreign", runnable_platforms=[Platform("linux", "amd64"), Platform("linux", "arm64")])


@pytest.mark.usefixtures("usage")
def test_the_cache_is_listed_with_what_can_go(tiffin):
    lines = tiffin("builder", "du").out.splitlines()
    assert lines[0].split() == ["ID", "RECLAIMABLE", "SIZE", "LAST", "ACCESSED"]
    assert lines[1].split()[:3] == ["a" * 12, "false", "3MB"]
    assert lines[2].split()[:3] == ["b" * 12, "true", "5kB"]
    assert [line.split() for line in lines[3:]] == [
        ["Shared:", "3MB"], ["Private:", "5kB"], ["Reclaimable:", "5kB"], ["Total:", "3.005MB"],
    ]  # fmt: skip
    assert tiffin("buildx", "du").out.splitlines()[2] == lines[2]


@pytest.mark.usefixtures("usage")
@pytest.mark.parametrize(
    ("filters", "found"),
    [
        (["type=exec.cachemount"], ["b"]),
        (["inuse=true"], ["a"]),
        (["shared=false", "type=regular"], []),
        (["id=" + "a" * 12, "id=" + "b" * 12], ["a", "b"]),
    ],
)
def test_the_cache_can_be_filtered(tiffin, filters, found):
    words = [f"--filter={each}" for each in filters]
    out = tiffin("builder", "du", *words, "--format", "{{.ID}}").out
    assert out.split() == [letter * 12 for letter in found]


@pytest.mark.usefixtures("usage")
def test_all_is_told_of_an_entry_when_asked(tiffin):
    out = tiffin("builder", "du", "--verbose").out
    assert "Last used:     1970-01-02 00:00:00 +0000 UTC\n" in out
    assert "Type:          exec.cachemount\n" in out
    assert json.loads(tiffin("builder", "du", "--format=json").out.splitlines()[0])["Type"] == "regular"
    assert tiffin("builder", "du", "--filter", "colour=red").status == 1


@pytest.mark.usefixtures("builder")
def test_there_is_one_builder(tiffin):
    assert "default*" in tiffin("buildx", "ls").out
    assert tiffin("buildx", "ls", "--format", "{{.Platforms}}").out == "linux/amd64, linux/arm64\n"
    assert "Platforms:" in tiffin("buildx", "inspect", "--bootstrap").out
    assert tiffin("buildx", "inspect", "default").status == 0
    assert tiffin("buildx", "use", "default") == SimpleNamespace(status=0, out="", err="")
    for words in (("use", "other"), ("inspect", "other")):
        result = tiffin("buildx", *words)
        assert (result.status, "there is no builder other" in result.err) == (1, True)


@pytest.mark.parametrize("verb", [*catalog.ABSENT_BUILDX])
@pytest.mark.parametrize("group", ["buildx", "builder"])
def test_what_has_no_meaning_is_answered(tiffin, group, verb):
    result = tiffin(group, verb, "--use")
    assert result.status == 1
    assert f"tiffin has no command '{group} {verb}'" in result.err
    assert "hint: " in result.err


def test_misspelt_verbs_are_guessed(tiffin):
    assert "did you mean prune?" in tiffin("buildx", "prun").err


def test_buildx_is_spelt_as_docker_s_users_do(tiffin):
    for verb in ("build", "b", "prune", "du", "ls", "inspect", "use", "version"):
        assert tiffin("buildx", verb, "--help").out.startswith(f"Usage:  tiffin buildx {verb}")
    assert tiffin("buildx", "--help").out == tiffin("builder", "--help").out
    assert tiffin("image", "build", "--help").status == 0

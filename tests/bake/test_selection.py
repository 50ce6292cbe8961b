# ruff: noqa: E501
"""From targets to what is asked of the engine, and what it takes to be allowed."""

import os
from pathlib import Path

import pytest

from tiffin.bake import privileges
from tiffin.bake.building import check_requests
from tiffin.bake.environment import Outside
from tiffin.bake.files import DEFAULTS, File, named_files, read_files
from tiffin.bake.load import load
from tiffin.bake.overrides import parse_override
from tiffin.bake.printing import list_targets, list_variables
from tiffin.bake.requests import Inputs, build_request, for_context
from tiffin.bake.selection import select
from tiffin.engine.building.steprequest import StepRequest
from tiffin.errors import DeniedError, InvalidError, NotFoundError, TiffinError, UnsupportedError
from tiffin.network.resolver import ExtraHost
from tiffin.oci.descriptor import Descriptor, MediaType
from tiffin.oci.digest import Digest
from tiffin.runtime.rlimits import parse_ulimits

BASE = Descriptor(MediaType.OCI_MANIFEST, Digest("sha256:" + "1" * 64), 5)


def chosen(text, *targets, sets=(), name="b.hcl", environ=None):
    loaded = load([File(name, text)], Outside({}, environ or {}), {}, "")
    return select(
        loaded.config, targets or ("default",), [parse_override(one, environ or {}) for one in sets]
    )


def request(body, **inputs):
    selection = chosen(f'target "default" {{\n{body}\n}}\ntarget "b" {{}}')
    return build_request(selection.targets["default"], Inputs(**{"images": {"b": BASE}, **inputs}))


def test_every_attribute_reaches_the_build():
    found = request(
        """
        context = "ctx/"
        dockerfile = "sub/D"
        target = "stage"
        tags = ["a:1", "b"]
        args = { A = 1, N = null }
        labels = { l = "x" }
        contexts = { img = "docker-image://alpine", dir = "../d", t = "target:b" }
        platforms = ["linux/amd64", "linux/arm64"]
        no-cache-filter = ["x"]
        pull = true
        network = "none"
        secret = ["id=a,src=k", "type=env,id=T"]
        ssh = ["default", "k=a,b"]
        cache-from = ["user/app", "type=local,src=c"]
        cache-to = [{ type = "registry", ref = "a,b", mode = "max" }]
        output = ["type=image,name=n,push=true", "out"]
        annotations = ["index:a=b"]
        attest = ["type=sbom"]
        shm-size = "64m"
        ulimits = ["nofile=1:2"]
        extra-hosts = { db = "10.0.0.1,10.0.0.2" }
        """
    )
    assert found._asdict() == {
        "context": Path("ctx"), "dockerfile": Path("ctx/sub/D"), "tags": ("a:1", "b"), "build_args": {"A": "1"},
        "target": "stage", "no_cache": False,
        "build_contexts": {"img": "docker-image://alpine", "dir": "../d", "t": BASE},
        "platforms": ("linux/amd64", "linux/arm64"), "network": "none", "labels": {"l": "x"}, "pull": True,
        "iidfile": None, "secrets": ("id=a,src=k", "id=T"), "ssh": ("default", "k=a,b"),
        "cache_from": ("type=registry,ref=user/app", "type=local,src=c"),
        "cache_to": ('type=registry,mode=max,"ref=a,b"',), "no_cache_filter": ("x",),
        "outputs": ("type=image,name=n,push=true", "type=local,dest=out"), "annotations": ("index:a=b",),
        "attest": ("type=sbom",), "provenance": None, "sbom": None,
        "push": False, "load": False, "split": False, "why": False,
        "steps": StepRequest(
            (ExtraHost("db", "10.0.0.1"), ExtraHost("db", "10.0.0.2")), 64 << 20, parse_ulimits(["nofile=1:2"])
        ),
    }  # fmt: skip


def test_inline_dockerfiles_and_defaults():
    inline = request('dockerfile-inline = "FROM scratch"', inline={"default": Path("/tmp/x")})
    assert inline.dockerfile == Path("/tmp/x")
    plain = request("")
    assert (plain.context, plain.dockerfile, plain.network) == (Path(), Path("Dockerfile"), "default")


def test_contexts_from_elsewhere():
    found = request(
        'context = "https://x.org/a.git#main:sub"\ndockerfile = "b/D"\ncontexts = { c = "git@x.org:y" }'
    )
    assert (found.context, found.dockerfile) == ("https://x.org/a.git#main:sub", "b/D")
    assert found.build_contexts == {"c": "git@x.org:y"}
    web = request('dockerfile = "https://x.org/Dockerfile"')
    assert (web.context, web.dockerfile) == (Path(), "https://x.org/Dockerfile")
    here = request('context = "https://x.org/a.git"\ndockerfile = "cwd://D"')
    assert here.dockerfile == Path("D").absolute()


def test_a_context_is_the_image_alone():
    whole = request(
        'tags = ["a"]\noutput = ["type=docker"]\ncache-to = ["type=inline"]\nno-cache = true\npull = true'
    )
    alone = for_context(whole)
    assert (alone.tags, alone.outputs, alone.cache_to, alone.no_cache, alone.pull) == (
        (),
        (),
        (),
        False,
        False,
    )


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ('shm-size = "much"', "shm-size = 'much' is not a size"),
        ('ulimits = ["nofile"]', "the target default: "),
        ('extra-hosts = { a = "somewhere" }', "the target default: "),
        ('context = "-"', "has context = '-'"),
        ('dockerfile = "-"', "has dockerfile = '-'"),
        ('entitlements = ["nosuch"]', "--allow nosuch"),
    ],
)
def test_what_a_build_cannot_do_is_refused(body, message):
    with pytest.raises((UnsupportedError, InvalidError)) as caught:
        request(body)
    assert message in caught.value.message


def test_attestations():
    assert request('attest = ["type=provenance,mode=max"]').attest == ("type=provenance,mode=max",)
    assert request('attest = ["type=provenance,disabled=true"]').attest == ("type=provenance,disabled=true",)


def test_contexts_are_built_first():
    text = """
    target "app" { contexts = { m = "target:mid", b = "target:base" } }
    target "mid" { contexts = { b = "target:base" } }
    target "base" {}
    """
    selection = chosen(text, "app")
    assert selection.order() == ["base", "mid", "app"]
    assert [name for name, target in selection.targets.items() if target.linked] == ["mid", "base"]
    assert not chosen(text, "app", "base").targets["base"].linked


def test_contexts_that_many_share_are_looked_at_once():
    layers = "".join(
        f'target "t{n}" {{ contexts = {{ a = "target:t{n + 1}", b = "target:u{n}" }} }}\n'
        f'target "u{n}" {{ contexts = {{ a = "target:t{n + 1}" }} }}\n'
        for n in range(40)
    )
    order = chosen(f'{layers} target "t40" {{}}', "t0").order()
    assert (order[0], order[-1], len(order)) == ("t40", "t0", 81)


def test_platforms_of_a_context_must_do():
    text = """
    target "app" {
      platforms = ["linux/amd64", "linux/s390x"]
      contexts = { b = "target:base" }
    }
    target "base" { platforms = ["linux/amd64", "linux/arm64"] }
    """
    with pytest.raises(InvalidError) as caught:
        chosen(text, "app")
    assert caught.value.code == "bake-platforms"


@pytest.mark.parametrize(
    ("sets", "field", "value"),
    [
        (["*.no-cache-filter=a", "*.no-cache-filter=b"], "no-cache-filter", ("a", "b")),
        (["*.ulimits+=core=0"], "ulimits", ("nofile=1", "core=0")),
        (["*.network=none"], "network", "none"),
        (["*.tags=x", "*.tags+=y"], "tags", ("x", "y")),
    ],
)
def test_set_changes_what_it_names(sets, field, value):
    text = 'target "default" {\n  tags = ["x"]\n  ulimits = ["nofile=1"]\n}'
    assert chosen(text, sets=sets).targets["default"].values[field] == value


@pytest.mark.parametrize(
    ("text", "hint"),
    [("*.platforms=x", "write platform"), ("*.secret=x", "write secrets"), ("*.tag=x", "did you mean tags?")],
)
def test_keys_of_set_get_the_nearest_name(text, hint):
    with pytest.raises(InvalidError) as caught:
        parse_override(text, {})
    assert caught.value.hint == hint


# -- privileges


HERE = Path("/work/here")


@pytest.mark.parametrize(
    ("body", "flags"),
    [
        ('context = "sub"', []),
        ('context = "../src"', ["fs.read=/work/src"]),
        ('context = "/"', ["fs.read=/"]),
        ('dockerfile = "../D"', ["fs.read=/work/D"]),
        ('contexts = { a = "..", b = "docker-image://x", c = "target:b" }', ["fs.read=/work"]),
        ('contexts = { a = "oci-layout:///l:tag@sha256:0", b = "https://x.org/y.git" }', ["fs.read=/l"]),
        ('secret = ["id=a,src=/etc/shadow"]', ["fs.read=/etc/shadow"]),
        ('secret = ["id=/etc/shadow"]', ["fs.read=/etc/shadow"]),
        ('dockerfile = "u@x.org:/../../D"', ["fs.read=/work/D"]),
        ('context = "https://x.org/a.git"\ndockerfile = "/etc/D"', ["fs.read=/etc/D"]),
        ('context = "u@x.org:/../../../src"', ["fs.read=/src"]),
        ('contexts = { a = "https://x.org/../../../src" }', ["fs.read=/work/src"]),
        ('contexts = { a = "cwd://oci-layout:///l" }', ["fs.read=/l"]),
        ('output = [{ type = "tar", " DEST" = "/out" }]', ["fs.write=/out"]),
        ('ssh = [{ id = "k=/key" }]', ["fs.read=/key"]),
        ('entitlements = ["device=x.org/gpu=0"]', ["device=x.org/gpu=0"]),
        ('output = ["type=local,dest=../out", "type=oci,dest=x.tar", "-"]', ["fs.write=/work/out"]),
        (
            'cache-to = ["type=local,dest=/c"]\ncache-from = ["type=local,src=/c"]',
            ["fs.read=/c", "fs.write=/c"],
        ),
        ('ssh = ["default", "k=/key"]', ["ssh", "fs.read=/key"]),
        ('network = "host"', ["network.host"]),
    ],
)
def test_what_lies_outside_has_to_be_allowed(body, flags):
    selection = chosen(f'target "default" {{\n{body}\n}}\ntarget "b" {{}}', "default")
    wanted = privileges.needed(selection.targets.values(), {})
    assert privileges.missing(wanted, privileges.Privileges(), HERE) == flags
    assert privileges.missing(wanted, privileges.parse_allow(flags), HERE) == []
    everything = privileges.parse_allow(["fs=*", "network.host", "ssh", "device"])
    assert privileges.missing(wanted, everything, HERE) == []
    if flags:
        with pytest.raises(DeniedError) as caught:
            privileges.check(wanted, privileges.Privileges(), HERE, {})
        assert f"--allow={flags[0]}" in caught.value.hint


def test_a_dockerfile_of_the_current_folder_is_not_looked_for_below_the_context():
    selection = chosen('target "default" {\ncontext = "sub"\ndockerfile = "cwd://../D"\n}')
    wanted = privileges.needed(selection.targets.values(), {})
    here = Path.cwd()
    assert privileges.missing(wanted, privileges.Privileges(), here) == [f"fs.read={here.parent.resolve()}/D"]


def test_a_secret_that_is_a_variable_is_no_file():
    selection = chosen('target "default" { secret = ["id=TOKEN", "id=../file"] }')
    wanted = privileges.needed(selection.targets.values(), {"TOKEN": "x"})
    assert wanted.read[-1] == "../file"
    assert "TOKEN" not in wanted.read


def test_who_sets_a_place_has_allowed_it():
    sets = ["*.output=type=local,dest=/out", "*.secrets=id=k,src=/key", "*.context=/ctx"]
    selection = chosen('target "default" {}', sets=sets)
    granted = privileges.granted_by(parse_override(one, {}) for one in sets)
    assert privileges.missing(privileges.needed(selection.targets.values(), {}), granted, HERE) == []


def test_the_check_of_places_can_be_switched_off():
    wanted = privileges.Privileges(frozenset(), ("/x",), ())
    privileges.check(wanted, privileges.Privileges(), HERE, {"BUILDX_BAKE_ENTITLEMENTS_FS": "0"})


def test_a_link_out_of_the_folder_does_not_help(tmp_path):
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "link").symlink_to(tmp_path)
    wanted = privileges.Privileges(frozenset(), ("link",), ())
    assert privileges.missing(wanted, privileges.Privileges(), tmp_path / "here") == [f"fs.read={tmp_path}"]


@pytest.mark.parametrize("text", ["fs", "fs.read", "network.host=x", "nosuch", ""])
def test_wrong_privileges(text):
    with pytest.raises(InvalidError):
        privileges.parse_allow([text])


# -- files and lists


def test_files_are_looked_for_in_order(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NotFoundError):
        read_files([])
    for name in DEFAULTS:
        (tmp_path / name).write_text(name)
    assert [file.name for file in read_files([])] == list(DEFAULTS)
    assert named_files(["x"], {"BUILDX_BAKE_FILE": "a:b"}) == ["x"]
    assert named_files([], {"BUILDX_BAKE_FILE": "a:b"}) == ["a", "b"]
    assert named_files([], {"BUILDX_BAKE_FILE": "a@b", "BUILDX_BAKE_PATH_SEPARATOR": "@"}) == ["a", "b"]


def test_files_that_are_none(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    with (tmp_path / "large").open("w") as stream:
        os.truncate(stream.fileno(), 9 << 20)
    for name in ("bytes", "large", ".", "nosuch", "https://example.com/x.hcl", "git@host:x"):
        with pytest.raises(TiffinError):
            read_files([name])


def test_lists():
    text = """
    variable "A" {
      type = list(string)
      default = ["x"]
      description = "some"
    }
    variable "B" { default = null }
    target "t" { description = "the target" }
    target "_hidden" {}
    group "g" {
      description = "all"
      targets = ["t", "_hidden"]
    }
    """
    loaded = load([File("b.hcl", text)], Outside({}, {}), {}, "")
    assert list_targets(loaded.config).rows[1:] == [["g", "all (_hidden, t)"], ["t", "the target"]]
    assert list_targets(loaded.config).documents[0] == {
        "name": "g",
        "description": "all (_hidden, t)",
        "group": True,
    }
    variables = list_variables(loaded.variables)
    assert variables.rows[1:] == [["A", "list of string", '["x"]', "some"], ["B", "", "<null>", ""]]
    assert variables.documents[1] == {"name": "B"}


@pytest.mark.parametrize(
    ("first", "second", "place"),
    [
        ("type=oci,dest=out/../all.tar", "type=docker,dest=all.tar", "all.tar"),
        ("type=tar,dest=all.tar", "type=tar,dest=./all.tar", "all.tar"),
        ("type=tar,dest=-", "type=oci,dest=-", "to standard output"),
        ("out", "out", ""),  # folders are filled by one after the other
        ("type=oci,tar=false,dest=layout", "type=oci,tar=false,dest=layout", ""),
        ("type=docker", "type=docker", ""),
        ("type=tar,dest=a.tar", "type=tar,dest=b.tar", ""),
    ],
)
def test_two_targets_do_not_write_one_file(first, second, place):
    text = f'target "a" {{ output = ["{first}"] }}\ntarget "b" {{ output = ["{second}"] }}'
    selection = chosen(text, "a", "b")
    if not place:
        check_requests(selection)
        return
    with pytest.raises(InvalidError, match=f"the targets a and b both write {place}$") as caught:
        check_requests(selection)
    assert caught.value.code == "bake-same-output"

"""Targets that are each other's contexts, built for real."""

import json

import pytest
from tests.doubles.web import Page, Repository, WebDouble
from tests.live.cases import write

pytestmark = pytest.mark.live

BAKE = """
group "default" { targets = ["app", "tools"] }
variable "NAME" { default = "anna" }
target "base" {
  context           = "src"
  dockerfile-inline = <<-EOT
    FROM busybox
    ARG WHO
    COPY greeting /
    RUN cat /proc/sys/kernel/random/uuid > /number && echo "$WHO" > /who
  EOT
  args = { WHO = upper(NAME) }
}
target "app" {
  dockerfile-inline = "FROM base\\nRUN cat /greeting /who > /both\\n"
  contexts          = { base = "target:base" }
  tags              = ["bake-app:1"]
}
target "tools" {
  dockerfile-inline = "FROM scratch\\nCOPY --from=base /number /who /\\n"
  contexts          = { base = "target:base" }
  output            = ["type=local,dest=out"]
}
"""


def test_linked_targets_are_built_once_and_used_by_all(tiffin, folder, busybox):
    write(folder, {"src/greeting": "hello\n", "docker-bake.hcl": BAKE})

    def number():
        shown = tiffin("run", "--rm", "bake-app:1", "cat", "/number", "/both").stdout.splitlines()
        assert shown[1:] == ["hello", (folder / "out" / "who").read_text().strip()]
        assert (folder / "out" / "number").read_text().strip() == shown[0]
        return shown[0]

    before = set(tiffin("images", "-aq").stdout.split())
    tiffin("bake", "--metadata-file", "made.json", cwd=folder)
    first = number()
    document = json.loads((folder / "made.json").read_text())
    assert sorted(document) == ["app", "tools"]
    assert document["app"]["image.name"] == "docker.io/library/bake-app:1"
    # the base was wanted by others only, and is gone as an image
    assert len(set(tiffin("images", "-aq").stdout.split()) - before) == 1

    tiffin("bake", cwd=folder)
    assert number() == first
    tiffin("bake", "--no-cache", "--pull=false", "--var", "NAME=otto", cwd=folder)
    assert (number() != first, (folder / "out" / "who").read_text()) == (True, "OTTO\n")


def test_a_failing_target_stops_the_rest_and_is_named(tiffin, folder, busybox):
    (folder / "b.hcl").write_text(
        'target "bad" { dockerfile-inline = "FROM busybox\\nRUN exit 7\\n" }\n'
        'target "later" {\n  dockerfile-inline = "FROM bad"\n  contexts = { bad = "target:bad" }\n}\n'
    )
    failed = tiffin("bake", "-f", "b.hcl", "later", cwd=folder, check=False)
    assert failed.returncode == 7
    assert "[bad]" in failed.stderr
    assert "[later]" not in failed.stderr


def test_what_lies_outside_is_denied(tiffin, folder):
    (folder / "b.hcl").write_text('target "default" { secret = ["id=x,src=/etc/hostname"] }\n')
    denied = tiffin("bake", "-f", "b.hcl", cwd=folder, check=False)
    assert denied.returncode == 1
    assert "--allow=fs.read=/etc/hostname" in denied.stderr


REMOTE = """
target "default" {
  contexts = {
    sub  = "sub"
    here = BAKE_CMD_CONTEXT
  }
  dockerfile-inline = "FROM scratch\\nCOPY a /\\nCOPY --from=sub b /\\nCOPY --from=here c /\\n"
  output = ["type=local,dest=out"]
}
"""


def test_a_definition_from_elsewhere_reads_what_is_there(tiffin, folder, tmp_path):
    write(folder, {"c": "here\n"})
    served = tmp_path / "served"
    served.mkdir()
    with WebDouble(served).serve() as web:
        repository = Repository(served, "repo")
        repository.commit({"docker-bake.hcl": REMOTE, "a": "there\n", "sub/b": "below\n"})
        tiffin("bake", f"{web.url}/repo.git", cwd=folder)
        read = {path.name: path.read_text() for path in (folder / "out").iterdir()}
        assert read == {"a": "there\n", "b": "below\n", "c": "here\n"}

        printed = json.loads(tiffin("bake", "--print", f"{web.url}/repo.git", cwd=folder).stdout)
        assert printed["target"]["default"]["context"] == f"{web.url}/repo.git"

        web.pages["/x.hcl"] = Page(b'target "default" { context = "sub" }')
        refused = tiffin("bake", f"{web.url}/x.hcl", cwd=folder, check=False)
        assert "only of repositories a folder can be taken" in refused.stderr

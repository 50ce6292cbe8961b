"""What is remembered of what a step read: of all files a digest, of small texts the text, of secrets none."""

import pytest

from tiffin.build import footprint as module
from tiffin.build.footprint import footprint
from tiffin.build.selection import select
from tiffin.build.steprecord import LARGEST_TEXT, Entry
from tiffin.snapshot.merged import MergedTree


def remembered(folder, files):
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(0o644)
    selection = select(MergedTree([folder]), (".",))
    return footprint("the build context", "content", selection, lambda node: node.path.encode())


def test_entries_and_texts(tmp_path):
    files = {
        "a.txt": b"a\n",
        "data": b"\0",
        "latin": b"\xe9",
        "large": b"x" * (LARGEST_TEXT + 1),
        "empty": b"",
    }
    found = remembered(tmp_path, files)
    assert (found.origin, found.content, found.whole) == ("the build context", "content", True)
    assert found.entries["a.txt"] == Entry("f", 0o644, 2, b"/a.txt")
    assert set(found.entries) == set(files)
    assert found.texts == {"a.txt": "a\n"}


def test_a_long_list_is_cut_off(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MOST_ENTRIES", 2)
    found = remembered(tmp_path, dict.fromkeys("abc", b"x"))
    assert (set(found.entries), found.whole) == ({"a", "b"}, False)


@pytest.mark.parametrize(
    "path",
    [
        ".env", "a/.env.example", ".netrc", ".npmrc", ".pypirc", ".pgpass", ".htpasswd", ".git-credentials",
        "kubeconfig", ".kube/config", ".docker/config.json", ".aws/credentials", "huggingface/token",
        "id_rsa", "id_rsa.pub", "ca.pem", "server.key", "STORE.P12", "x.pfx", "api_secret.txt", "tokens.yaml",
    ],
)  # fmt: skip
def test_of_what_looks_like_a_secret_the_text_is_not_kept(tmp_path, path):
    found = remembered(tmp_path, {path: b"secret\n", "plain.txt": b"plain\n"})
    assert found.entries[path].digest
    assert found.texts == {"plain.txt": "plain\n"}

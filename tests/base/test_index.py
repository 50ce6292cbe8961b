import pytest

from tiffin.base.index import PackageIndex
from tiffin.errors import CorruptError

SHA = "a" * 64


def paragraph(name, version="1", extra="", **changes):
    fields = {"Filename": f"pool/{name}.deb", "Size": "10", "SHA256": SHA, **changes}
    lines = "".join(f"{key}: {value}\n" for key, value in fields.items() if value is not None)
    return f"Package: {name}\nVersion: {version}\nArchitecture: amd64\n{extra}{lines}\n".encode()


def index_of(*paragraphs):
    index = PackageIndex()
    index.add(b"".join(paragraphs), "http://mirror.example.org/tin")
    return index


def test_the_newest_version_comes_first_whatever_archive_it_is_in():
    index = index_of(paragraph("tool", "1.9"), paragraph("tool", "1.10~rc1"))
    index.add(paragraph("tool", "1.10"), "http://security.example.org/tin")
    assert [package.version for package in index.versions("tool")] == ["1.10", "1.10~rc1", "1.9"]
    assert index.newest("tool").archive == "http://security.example.org/tin"
    assert index.newest("nothing") is None


def test_essential_and_provided_names():
    index = index_of(
        paragraph("mawk", extra="Provides: awk\nPriority: required\n"),
        paragraph("gawk", extra="Provides: awk (= 5), foo\n"),
        paragraph("base", extra="Essential: yes\n"),
    )
    assert index.essential() == ("base",)
    assert [package.name for package in index.providers("awk")] == ["mawk", "gawk"]
    assert index.newest("gawk").offers("awk") == ["5"]
    assert index.newest("mawk").offers("awk") == [None]
    assert index.newest("mawk").offers("mawk") == ["1"]
    assert index.names() == ["awk", "base", "foo", "gawk", "mawk"]


@pytest.mark.parametrize(
    "changes",
    [
        {"SHA256": None},
        {"SHA256": "abc"},
        {"Size": "many"},
        {"Size": "0"},
        {"Filename": "/etc/passwd.deb"},
        {"Filename": "pool/../../x.deb"},
        {"Filename": "http://elsewhere.example.org/x.deb?"},
        {"Filename": "pool/x.rpm"},
    ],
)
def test_a_package_without_proof_or_with_a_strange_file_is_refused(changes):
    with pytest.raises(CorruptError, match="tool"):
        index_of(paragraph("tool", **changes)).versions("tool")


def test_a_paragraph_without_a_name_is_refused():
    with pytest.raises(CorruptError, match="without Package"):
        index_of(b"Version: 1\n\n")

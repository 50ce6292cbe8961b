import pytest

from tiffin.base.index import PackageIndex
from tiffin.base.resolve import Wanted, resolve
from tiffin.errors import ConflictError, NotFoundError


def index_of(text):
    """An index from lines `name version | Field: value | …`."""
    index = PackageIndex()
    for number, line in enumerate(filter(None, map(str.strip, text.split("\n")))):
        head, *fields = (part.strip() for part in line.split(";"))
        name, version, *rest = head.split()
        paragraph = [
            f"Package: {name}",
            f"Version: {version}",
            f"Architecture: {rest[0] if rest else 'amd64'}",
            *fields,
        ]
        paragraph += [f"Filename: pool/{name}_{number}.deb", "Size: 1", f"SHA256: {number:064x}"]
        index.add("\n".join(paragraph).encode(), "http://mirror.example.org")
    return index


def names(text, *wanted, without=(), pairs=()):
    found = resolve(index_of(text), Wanted(wanted, "amd64", frozenset(without), frozenset(pairs)))
    return [package.name for package in found]


def test_dependencies_come_before_what_needs_them():
    text = """
        app 1; Depends: lib (>= 2), data
        lib 2; Pre-Depends: libc
        libc 1
        data 1 all
    """
    found = names(text, "app")
    assert sorted(found) == ["app", "data", "lib", "libc"]
    assert found.index("libc") < found.index("lib") < found.index("app")
    assert found.index("data") < found.index("app")


def test_a_cycle_ends():
    assert sorted(names("a 1; Depends: b\nb 1; Depends: a", "a")) == ["a", "b"]


def test_the_first_alternative_is_taken_unless_another_is_chosen_anyway():
    text = """
        app 1; Depends: one | two
        other 1; Depends: two
        one 1
        two 1
    """
    assert "one" in names(text, "app")
    assert names(text, "app", "other") == ["two", "app", "other"]


def test_an_alternative_that_cannot_be_had_is_passed_over():
    text = """
        app 1; Depends: gone | broken | good
        broken 1; Depends: nowhere
        good 1
    """
    assert names(text, "app") == ["good", "app"]


def test_a_provider_stands_in_by_priority_then_name():
    text = """
        app 1; Depends: awk
        zawk 1; Provides: awk; Priority: required
        gawk 1; Provides: awk
    """
    assert names(text, "app") == ["zawk", "app"]
    assert names(text, "app", "gawk") == ["gawk", "app"]


def test_a_provided_version_counts_and_a_missing_one_does_not():
    text = """
        app 1; Depends: abi (>= 3)
        old 1; Provides: abi (= 2)
        vague 1; Provides: abi
        new 1; Provides: abi (= 3.1)
    """
    assert names(text, "app") == ["new", "app"]


def test_multi_arch_qualifiers_and_foreign_packages():
    text = """
        app 1; Depends: python3:any, tool:native
        python3 3.11
        tool 1 all
    """
    assert sorted(names(text, "app")) == ["app", "python3", "tool"]
    with pytest.raises(NotFoundError, match="another architecture"):
        names("app 1; Depends: lib\nlib 1 arm64", "app")


def test_what_is_done_without_is_left_out_unless_it_is_wanted():
    text = """
        cacert 1; Depends: openssl, debconf | cdebconf
        openssl 1
        debconf 1
        curl 1; Depends: openssl
    """
    assert names(text, "cacert", without=["debconf"], pairs=[("cacert", "openssl")]) == ["cacert"]
    assert "openssl" in names(text, "cacert", "curl", without=["debconf"], pairs=[("cacert", "openssl")])
    assert "debconf" in names(text, "cacert", "debconf", without=["debconf"])


def test_a_missing_name_names_its_nearest():
    with pytest.raises(NotFoundError) as caught:
        names("libgomp1 1\nlibstdc++6 1", "libgomp")
    assert "libgomp, asked for" in caught.value.message
    assert "libgomp1" in caught.value.hint


def test_a_missing_dependency_names_the_chain():
    with pytest.raises(
        NotFoundError, match=r"libz \(>= 9\), needed by lib, needed by app, .* version there is 1"
    ):
        names("app 1; Depends: lib\nlib 1; Depends: libz (>= 9)\nlibz 1", "app")


def test_conflicts_are_found():
    with pytest.raises(ConflictError, match="exclude each other"):
        names("a 1; Conflicts: b\nb 1", "a", "b")
    with pytest.raises(ConflictError, match=r"b \(<< 2\)"):
        names("a 1; Breaks: b (<< 2)\nb 1", "a", "b")
    assert sorted(names("a 1; Breaks: b (<< 2)\nb 2", "a", "b")) == ["a", "b"]


def test_a_package_may_conflict_with_a_name_that_it_provides_itself():
    assert names("a 1; Provides: mta; Conflicts: mta", "a") == ["a"]


def test_the_order_of_the_index_does_not_matter():
    lines = ["app 1; Depends: x | y, awk", "x 1", "y 1", "mawk 1; Provides: awk", "gawk 1; Provides: awk"]
    first = names("\n".join(lines), "app")
    assert names("\n".join(reversed(lines)), "app") == first
    assert sorted(first) == ["app", "gawk", "x"]

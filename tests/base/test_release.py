import pytest

from tiffin.base.release import check_release, is_expired, parse_release
from tiffin.errors import CorruptError, DeniedError, NotFoundError

A, B = "a" * 64, "b" * 64
TEXT = f"""Origin: Tin
Suite: stable
Codename: tinny
Date: Tue, 14 Nov 2023 00:00:00 UTC
Valid-Until: Tue, 21 Nov 2023 00:00:00 UTC
Acquire-By-Hash: yes
Architectures: all amd64
Components: main
SHA256:
 {A} 100 main/binary-amd64/Packages
 {B}  40 main/binary-amd64/Packages.xz
 {A}  50 main/binary-amd64/Packages.gz
 {B}  10 main/binary-all/Packages.gz
"""
DATE = 1_699_920_000
DAY = 24 * 3600


def test_what_it_says():
    release = parse_release(TEXT.encode(), "InRelease")
    assert (release.origin, release.suite, release.codename, release.by_hash) == (
        "Tin",
        "stable",
        "tinny",
        True,
    )
    assert release.date == DATE
    assert release.valid_until == DATE + 7 * DAY


def test_indexes_with_those_for_all_architectures():
    native, common = parse_release(TEXT.encode(), "InRelease").indexes("main", "amd64")
    assert [(form.path.rpartition("/")[2], form.size, form.unpacked) for form in native] == [
        ("Packages.xz", 40, 100),
        ("Packages.gz", 50, 100),
        ("Packages", 100, 100),
    ]
    assert common[0].path == "main/binary-all/Packages.gz"
    text = TEXT.replace("Codename", "No-Support-for-Architecture-all: Packages\nCodename")
    assert len(parse_release(text.encode(), "InRelease").indexes("main", "amd64")) == 1


def test_a_component_or_architecture_that_is_not_there():
    with pytest.raises(NotFoundError, match=r"contrib for amd64"):
        parse_release(TEXT.encode(), "InRelease").indexes("contrib", "amd64")
    with pytest.raises(NotFoundError) as caught:
        parse_release(TEXT.encode(), "InRelease").indexes("main", "arm64")
    assert "all amd64" in caught.value.hint


@pytest.mark.parametrize("asked", ["tinny", "stable"])
def test_the_suite_goes_by_both_names(source_of, asked):
    check_release(
        parse_release(TEXT.encode(), "InRelease"), source_of("http://a.example.org", asked), DATE + DAY
    )


def test_another_suite_is_refused(source_of):
    with pytest.raises(DeniedError, match=r"stable \(tinny\), not brassy"):
        check_release(
            parse_release(TEXT.encode(), "R"), source_of("http://a.example.org", "brassy"), DATE + DAY
        )


def test_dates(source_of):
    release = parse_release(TEXT.encode(), "InRelease")
    assert not is_expired(release, DATE + 6 * DAY)
    assert is_expired(release, DATE + 8 * DAY)
    with pytest.raises(DeniedError, match="from the future"):
        check_release(release, source_of("http://a.example.org"), DATE - 2 * DAY)
    text = TEXT.replace("Valid-Until: Tue, 21 Nov 2023 00:00:00 UTC\n", "")
    assert not is_expired(parse_release(text.encode(), "R"), DATE + 9999 * DAY)


@pytest.mark.parametrize(
    "change",
    [
        ("Date: Tue", "Datum: Tue"),
        ("14 Nov", "99 Nov"),
        ("SHA256", "MD5Sum"),
        (f" {A} 100", " abc 100"),
        ("100 main", "main"),
    ],
)
def test_nonsense_is_refused_though_it_is_signed(change):
    with pytest.raises(CorruptError, match="not a usable Release"):
        parse_release(TEXT.replace(*change).encode(), "InRelease")

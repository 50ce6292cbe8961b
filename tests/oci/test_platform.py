import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiffin.errors import InvalidError
from tiffin.oci.platform import Platform


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("linux/amd64", "linux/amd64"),
        ("linux/x86_64", "linux/amd64"),
        ("linux/amd64/v1", "linux/amd64"),
        ("linux/amd64/v3", "linux/amd64/v3"),
        ("Linux/AMD64", "linux/amd64"),
        ("linux/arm64", "linux/arm64"),
        ("linux/arm64/v8", "linux/arm64"),
        ("linux/aarch64", "linux/arm64"),
        ("linux/arm64/8", "linux/arm64"),
        ("linux/arm", "linux/arm/v7"),
        ("linux/arm/v6", "linux/arm/v6"),
        ("linux/arm/7", "linux/arm/v7"),
        ("linux/armhf", "linux/arm/v7"),
        ("linux/armel", "linux/arm/v6"),
        ("linux/i386", "linux/386"),
        ("macos/arm64", "darwin/arm64"),
        ("windows/amd64", "windows/amd64"),
        ("arm64", "linux/arm64"),
        ("x86_64", "linux/amd64"),
    ],
)
def test_spellings_come_down_to_one(text, printed):
    platform = Platform.parse(text)
    assert str(platform) == printed
    assert Platform.parse(printed) == platform


@pytest.mark.parametrize(
    "text", ["", "/", "linux/", "/amd64", "linux", "potato", "a/b/c/d", "linux/am d64", "linux/ä"]
)
def test_what_is_no_platform_is_refused(text):
    with pytest.raises(InvalidError) as caught:
        Platform.parse(text)
    assert "linux/amd64" in caught.value.hint


@pytest.mark.parametrize(
    ("machine", "printed"),
    [
        ("x86_64", "linux/amd64"),
        ("aarch64", "linux/arm64"),
        ("armv7l", "linux/arm/v7"),
        ("armv6l", "linux/arm/v6"),
        ("i686", "linux/386"),
        ("ppc64le", "linux/ppc64le"),
        ("s390x", "linux/s390x"),
        ("riscv64", "linux/riscv64"),
        ("loongarch64", "linux/loong64"),
    ],
)
def test_a_machine_has_a_platform(machine, printed):
    assert str(Platform.of_machine(machine)) == printed


@pytest.mark.parametrize(
    ("own", "offered", "chosen"),
    [
        ("linux/amd64", ["linux/arm64", "linux/amd64"], "linux/amd64"),
        ("linux/amd64", ["linux/386", "linux/amd64"], "linux/amd64"),
        ("linux/amd64", ["linux/386"], "linux/386"),
        ("linux/amd64", ["linux/amd64/v3", "linux/amd64"], "linux/amd64"),
        ("linux/amd64", ["linux/amd64/v3"], None),
        ("linux/amd64/v3", ["linux/amd64", "linux/amd64/v2", "linux/amd64/v4"], "linux/amd64/v2"),
        ("linux/amd64", ["windows/amd64"], None),
        ("linux/arm64", ["linux/amd64", "linux/arm64/v8"], "linux/arm64/v8"),
        ("linux/arm64", ["linux/arm/v6", "linux/arm/v7"], "linux/arm/v7"),
        ("linux/arm/v7", ["linux/arm/v5", "linux/arm/v6", "linux/arm/v8"], "linux/arm/v6"),
        ("linux/arm/v6", ["linux/arm/v7"], None),
        ("linux/386", ["linux/amd64"], None),
        ("linux/s390x", ["unknown/unknown", "linux/s390x"], "linux/s390x"),
        ("linux/amd64", [], None),
    ],
)
def test_the_best_that_runs_is_chosen(own, offered, chosen):
    at = Platform.parse(own).choose([Platform(*text.split("/")) for text in offered])
    assert chosen == (None if at is None else offered[at])


def test_a_silent_offer_is_the_last_resort():
    amd64, s390x = Platform("linux", "amd64"), Platform("linux", "s390x")
    assert amd64.choose([None, amd64]) == 1
    assert amd64.choose([s390x, None]) == 1
    assert amd64.choose([Platform("linux", "386"), None]) == 0


@given(st.text(alphabet="linuxamd64rv/_ 8\n", max_size=20))
def test_normalising_twice_changes_nothing(text):
    try:
        platform = Platform.parse(text)
    except InvalidError:
        return
    assert platform.normalised() == platform
    assert platform.rank(platform) == 0

"""`USER` and `--user`, as Docker resolves them against the image."""

import pytest

from tiffin.errors import InvalidError, NotFoundError
from tiffin.runtime.users import User, resolve_user

PASSWD = b"""root:x:0:0:root:/root:/bin/sh
ada:x:1000:100:Ada:/home/ada:/bin/sh
nohome:x:1001:1001:::
short:x:1002:1003
1234:x:55:66::/named-like-a-number:
broken
bad:x:no:1::/:
# comment:x:1:1::/:
"""
GROUP = b"""root:x:0:
wheel:x:10:ada,other
docker:x:999:ada
ada:x:2000:
777:x:8:
bad:x:x:ada
"""


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ("", User(0, 0, (), "/root")),
        ("0", User(0, 0, (), "/root")),
        ("root", User(0, 0, (), "/root")),
        ("ada", User(1000, 100, (10, 999), "/home/ada")),
        ("1000", User(1000, 100, (10, 999), "/home/ada")),
        ("ada:wheel", User(1000, 10, (), "/home/ada")),
        ("ada:2000", User(1000, 2000, (), "/home/ada")),
        ("1000:4444", User(1000, 4444, (), "/home/ada")),
        ("5000", User(5000, 0, (), "/")),
        ("5000:6000", User(5000, 6000, (), "/")),
        (":10", User(0, 10, (), "/root")),
        ("nohome", User(1001, 1001, (), "/")),
        ("short", User(1002, 1003, (), "/")),
        ("1234", User(55, 66, (), "/named-like-a-number")),
        ("ada:777", User(1000, 8, (), "/home/ada")),
    ],
)
def test_a_user_is_found(user, expected):
    assert resolve_user(user, PASSWD, GROUP) == expected


def test_without_files_numbers_work():
    assert resolve_user("33:44", b"", b"") == User(33, 44)
    assert resolve_user("", b"", b"") == User(0, 0)


def test_groups_can_be_added():
    found = resolve_user("ada:wheel", PASSWD, GROUP, extra_groups=("docker", "12", "docker"))
    assert found.groups == (999, 12)


@pytest.mark.parametrize("user", ["eve", "bad", "ada:nobody", "-1", "0x10", "\N{ARABIC-INDIC DIGIT ONE}"])
def test_an_unknown_name_is_an_error_that_names_it(user):
    with pytest.raises(NotFoundError) as caught:
        resolve_user(user, PASSWD, GROUP)
    assert repr(user.rpartition(":")[2]) in caught.value.message


@pytest.mark.parametrize("user", ["ada:", "4294967295", "1:99999999999"])
def test_bad_users_are_refused(user):
    with pytest.raises(InvalidError):
        resolve_user(user, PASSWD, GROUP)

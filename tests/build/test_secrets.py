"""--secret as Docker reads it, and its errors, which never tell a value."""

import pytest

from tiffin.build.secrets import LARGEST, SecretFlag, parse_secret, read_secrets
from tiffin.errors import InvalidError, NotFoundError

ENVIRON = {"TOKEN": "t", "OTHER": "o"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("id=x,src=/f", SecretFlag("x", "/f")),
        ("id=x,source=/f=g", SecretFlag("x", "/f=g")),
        ('id=x,"src=/f,g"', SecretFlag("x", "/f,g")),
        ("type=file,id=x,src=/f", SecretFlag("x", "/f")),
        ("src=/f,ID=x", SecretFlag("x", "/f")),
        ("id=x,env=OTHER", SecretFlag("x", "", "OTHER")),
        ("type=env,id=x,src=OTHER", SecretFlag("x", "", "OTHER")),
        ("id=TOKEN", SecretFlag("TOKEN", "", "TOKEN")),  # a variable of that name
        ("type=file,id=TOKEN", SecretFlag("TOKEN", "TOKEN")),
        ("id=x", SecretFlag("x", "x")),  # else a file
    ],
)
def test_flags(text, expected):
    assert parse_secret(text, ENVIRON) == expected


@pytest.mark.parametrize(
    "text",
    ["", "x", "src=/f", "id=", "id=x,what=1", "id=x,src=/f,env=E", "id=x,type=other", "id=x,src", '"id=x'],
)
def test_what_is_no_flag(text):
    with pytest.raises(InvalidError, match="--secret"):
        parse_secret(text, ENVIRON)


def test_values(tmp_path):
    (tmp_path / "f").write_bytes(b"\0value\n")
    found = read_secrets([f"id=a,src={tmp_path}/f", "id=b,env=OTHER", "id=c,env=UNSET"], ENVIRON)
    assert found == {"a": b"\0value\n", "b": b"o", "c": b""}


def test_files_that_cannot_be_secrets(tmp_path):
    with pytest.raises(NotFoundError, match="none"):
        read_secrets([f"id=a,src={tmp_path}/none"], {})
    with pytest.raises(NotFoundError, match="the file of the secret a"):
        read_secrets([f"id=a,src={tmp_path}"], {})
    (tmp_path / "exact").write_bytes(b"x" * LARGEST)
    assert len(read_secrets([f"id=a,src={tmp_path}/exact"], {})["a"]) == LARGEST
    (tmp_path / "large").write_bytes(b"x" * (LARGEST + 1))
    with pytest.raises(InvalidError, match="500 KiB"):
        read_secrets([f"id=a,src={tmp_path}/large"], {})

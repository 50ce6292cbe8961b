"""Whether the network may be used."""

import pytest

from tiffin.errors import UnavailableError
from tiffin.offline import check_online, is_offline


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, False), ("", False), ("0", False), ("false", False), ("No", False), ("1", True), ("true", True)],
)
def test_the_variable(value, expected):
    environ = {} if value is None else {"TIFFIN_OFFLINE": value}
    assert is_offline(environ) is expected
    if expected:
        with pytest.raises(UnavailableError, match=r"registry\.example is not asked") as caught:
            check_online(environ, "registry.example")
        assert caught.value.code == "offline"
    else:
        check_online(environ, "registry.example")

import stat
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiffin.build.modes import change_mode
from tiffin.errors import InvalidError


@pytest.mark.parametrize(
    ("mode", "change", "directory", "expected"),
    [
        (0o644, "755", False, 0o755),
        (0o644, "0755", False, 0o755),
        (0o4755, "755", False, 0o755),
        (0o644, "4755", False, 0o4755),
        (0o644, "u+x", False, 0o744),
        (0o644, "+x", False, 0o755),
        (0o644, "a+X", False, 0o644),
        (0o744, "a+X", False, 0o755),
        (0o644, "a+X", True, 0o755),
        (0o777, "go-w", False, 0o755),
        (0o750, "o=g", False, 0o755),
        (0o644, "u=rwx,go=rx", False, 0o755),
        (0o644, "u+s", False, 0o4644),
        (0o755, "+t", True, 0o1755),
        (0o755, "g=", False, 0o705),
        (0o755, "u-x+w", False, 0o655),
    ],
)
def test_change_mode(mode, change, directory, expected):
    assert oct(change_mode(mode, change, directory=directory)) == oct(expected)


@pytest.mark.parametrize("change", ["", "999", "77777", "u+q", "z=x", "u", "rwx", "u+x,,g-x", "+x ", "8"])
def test_what_is_no_mode_is_refused(change):
    with pytest.raises(InvalidError, match="is not a mode"):
        change_mode(0o644, change, directory=False)


clause = st.builds(
    lambda who, sign, letters: who + sign + letters,
    st.sampled_from(["u", "g", "o", "a", "ug", "go", "uo"]),
    st.sampled_from("+-="),
    st.text("rwx", max_size=3) | st.sampled_from("ugo"),
)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("modes") / "file"
    path.touch()
    return path


@given(mode=st.integers(0, 0o777), change=st.lists(clause, min_size=1, max_size=3).map(",".join))
def test_symbolic_modes_are_those_of_chmod(file, mode, change):
    file.chmod(mode)
    subprocess.run(["chmod", change, file], check=True)
    assert oct(change_mode(mode, change, directory=False)) == oct(stat.S_IMODE(file.stat().st_mode))

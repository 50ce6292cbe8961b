"""The light NamedTuple is one in everything that the rooms use."""

import copy
import pickle

import pytest

from tiffin.linux.record import NamedTuple


class Point(NamedTuple):
    """A place."""

    x: int
    y: int = 2

    def total(self) -> int:
        return self.x + self.y


def test_it_is_a_tuple_with_names_and_defaults():
    point = Point(1)
    assert point == (1, 2)
    assert isinstance(point, tuple)
    assert (point.x, point.y, point.total()) == (1, 2, 3)
    assert Point(y=5, x=4) == (4, 5)
    assert Point._fields == ("x", "y")
    assert Point._field_defaults == {"y": 2}
    assert Point.__doc__ == "A place."


def test_it_prints_replaces_and_copies():
    point = Point(1)
    assert repr(point) == "Point(x=1, y=2)"
    assert point._replace(x=9) == Point(9, 2)
    assert point._asdict() == {"x": 1, "y": 2}
    assert copy.deepcopy(point) == point
    assert pickle.loads(pickle.dumps(point)) == point


def test_it_is_frozen():
    with pytest.raises(AttributeError):
        Point(1).x = 2  # type: ignore[misc]
    with pytest.raises(AttributeError):
        Point(1).z = 2  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("values", "named"), [((), {}), ((1, 2, 3), {}), ((1,), {"x": 2}), ((1,), {"z": 2}), ((), {"y": 1})]
)
def test_wrong_fields_are_refused(values, named):
    with pytest.raises(TypeError, match="Point"):
        Point(*values, **named)


def test_replace_refuses_unknown_fields():
    with pytest.raises(TypeError):
        Point(1)._replace(z=1)

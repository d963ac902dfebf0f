"""Classes whose fields are set once."""

import copy
import dataclasses
import pickle
from typing import Any, ClassVar

import pytest

from pullback.core.frozen import frozen, replaced


@frozen
class Point:
    """A point."""

    x: Any
    y: Any = 2
    plane: ClassVar[str] = "plane"

    def total(self):
        return self.x + self.y


@frozen
class Space(Point):
    z: "int" = 3


@frozen
class Named:
    name: str

    def __init__(self, name):
        object.__setattr__(self, "name", name.upper())

    def __repr__(self):
        return "named"


@frozen
class Empty:
    kind: "ClassVar[int]" = 0


def test_fields_come_by_position_by_name_and_by_default():
    assert (Point(1).x, Point(1).y) == (1, 2)
    assert Point(1, 5).total() == 6
    assert Point(y=7, x=1).y == 7
    assert Point(1, y=4).total() == 5
    assert Space(1).z == 3
    assert Space.__match_args__ == ("x", "y", "z")
    assert Point.plane == "plane"
    assert Empty().kind == 0


def test_equal_fields_make_equal_objects():
    assert Point(1) == Point(1, 2)
    assert hash(Point(1)) == hash(Point(1, 2))
    assert Point(1) != Point(2)
    assert Point(1) != Space(1)
    assert Empty() == Empty()
    assert repr(Space(1)) == "Space(x=1, y=2, z=3)"
    assert Point.__doc__ == "A point."


def test_methods_of_the_class_stay():
    assert Named("a").name == "A"
    assert repr(Named("a")) == "named"


def test_fields_cannot_be_set_again():
    point = Point(1)
    with pytest.raises(dataclasses.FrozenInstanceError, match="assign to field 'x'"):
        point.x = 2
    with pytest.raises(dataclasses.FrozenInstanceError, match="delete field 'x'"):
        del point.x
    assert not hasattr(point, "__dict__")
    assert Space.__slots__ == ("z",)


def test_copies():
    assert replaced(Space(1), y=9) == Space(1, 9)
    assert copy.copy(Space(1)) == Space(1)
    assert pickle.loads(pickle.dumps(Space(1, 5))) == Space(1, 5)


@pytest.mark.parametrize(
    ("given", "named", "message"),
    [
        ((), {}, r"Point\(x, y\) was given 0 values and none by name: x missing\."),
        ((1, 2, 3), {}, r"was given 3 values .*: too many\."),
        ((1,), {"x": 2}, r"1 values and x by name: x given twice\."),
        ((1,), {"w": 2}, r"w by name: w unknown\."),
        ((), {"w": 2}, r"w unknown; x missing\."),
    ],
)
def test_wrong_calls(given, named, message):
    with pytest.raises(TypeError, match=message):
        Point(*given, **named)

import pytest

from tiffin.base.relations import Relation, clause_text, parse_relations
from tiffin.errors import InvalidError


def test_alternatives_versions_and_architectures():
    found = parse_relations(
        "libc6 (>= 2.36), python3:any (<< 3.12) | python3-tiny,\n debconf (>= 0.5) | debconf-2.0"
    )
    assert found == (
        (Relation("libc6", ">=", "2.36"),),
        (Relation("python3", "<<", "3.12", "any"), Relation("python3-tiny")),
        (Relation("debconf", ">=", "0.5"), Relation("debconf-2.0")),
    )
    assert clause_text(found[1]) == "python3:any (<< 3.12) | python3-tiny"


def test_restrictions_of_source_packages_are_read_over():
    assert parse_relations("gcc [amd64 !i386] <!nocheck> <cross>") == ((Relation("gcc"),),)


def test_nothing():
    assert parse_relations("") == ()
    assert parse_relations(" , ") == ()


@pytest.mark.parametrize("bad", ["a b", "(>= 1)", "a (1)", "a (>= )", "a | | b", "$(rm)"])
def test_bad(bad):
    with pytest.raises(InvalidError, match="not a relation"):
        parse_relations(bad)


def test_a_version_is_asked_of_what_has_one():
    assert Relation("a", ">=", "2").accepts("2.1")
    assert not Relation("a", ">=", "2").accepts("1")
    assert not Relation("a", ">=", "2").accepts(None)
    assert Relation("a").accepts(None)

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.doubles.sigstore import tree_hash, tree_path

from tiffin.errors import DeniedError
from tiffin.trust.merkle import leaf_hash, root_of


@given(st.lists(st.binary(max_size=4), min_size=1, max_size=40), st.data())
def test_every_proof_leads_to_the_root(leaves, data):
    index = data.draw(st.integers(0, len(leaves) - 1))
    path = tree_path(index, leaves)
    assert root_of(leaf_hash(leaves[index]), index, len(leaves), path) == tree_hash(leaves)


@given(st.lists(st.binary(min_size=2, max_size=4), min_size=2, max_size=20, unique=True), st.data())
def test_no_wrong_proof_does(leaves, data):
    index = data.draw(st.integers(0, len(leaves) - 1))
    path = tree_path(index, leaves)
    at = data.draw(st.integers(0, len(path) - 1))
    flipped = bytes([path[at][0] ^ 1]) + path[at][1:]
    root, leaf = tree_hash(leaves), leaf_hash(leaves[index])
    assert root_of(leaf, index, len(leaves), [*path[:at], flipped, *path[at + 1 :]]) != root
    assert root_of(leaf_hash(b"-"), index, len(leaves), path) != root
    with pytest.raises(DeniedError):
        root_of(leaf, index, len(leaves), path[:-1])
    with pytest.raises(DeniedError):
        root_of(leaf, index, len(leaves), [*path, bytes(32)])


@pytest.mark.parametrize(
    ("index", "size", "path"),
    [(0, 0, []), (1, 1, []), (-1, 1, []), (0, 1 << 64, []), (0, 1 << 62, [b""] * 65)],
)
def test_places_outside_of_the_log(index, size, path):
    with pytest.raises(DeniedError):
        root_of(leaf_hash(b""), index, size, path)

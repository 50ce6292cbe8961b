from __future__ import annotations

import random
import re

import pytest

from tiffin.container.names import ADJECTIVES, NOUNS, check_name, new_id, random_name
from tiffin.errors import InvalidError


def test_word_lists_hold_plain_words_each_once():
    for words in (ADJECTIVES, NOUNS):
        assert len(words) >= 100
        assert len(set(words)) == len(words)
        assert all(re.fullmatch("[a-z]+", word) for word in words)


def test_a_name_is_an_adjective_and_a_noun():
    name = random_name(random.Random(1).choice, lambda _: False)
    adjective, noun = name.split("_")
    assert adjective in ADJECTIVES
    assert noun in NOUNS


def test_a_taken_name_is_not_given_again():
    taken = {"ripe_fig"}
    assert (
        random_name(lambda words: {ADJECTIVES: "ripe", NOUNS: "fig"}[words], taken.__contains__)
        == "ripe_fig1"
    )


def test_an_id_never_looks_like_a_number():
    answers = iter([bytes(32), b"\xab" * 32])
    assert new_id(lambda size: next(answers)) == "ab" * 32


@pytest.mark.parametrize("name", ["web", "/web", "a1", "a.b-c_d", "9x"])
def test_names_that_docker_takes(name):
    assert check_name(name) == name.lstrip("/")


@pytest.mark.parametrize("name", ["", "a", "-web", "_x", "we b", "wéb", "a/b", "//web", "web\n"])
def test_names_that_docker_refuses(name):
    with pytest.raises(InvalidError, match="cannot be the name of a container"):
        check_name(name)

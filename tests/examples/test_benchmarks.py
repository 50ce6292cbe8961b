"""The table of the benchmarks says what was measured, and what was not."""

import sys

import pytest


@pytest.fixture
def measure(root, monkeypatch):
    monkeypatch.syspath_prepend(str(root / "benchmarks"))
    import measure

    yield measure
    del sys.modules["measure"]


def test_ratios_are_of_medians_to_ours(measure):
    result = measure.Result("build", {"ours": [1.0, 2.0, 9.0], "theirs": [8.0, 7.0, 30.0]}, {})
    table = measure.markdown([result], ["ours", "theirs"], "ours")
    assert table.splitlines()[-1] == (
        "| build | 2.00 s (1.00 s to 9.00 s) | 8.00 s (7.00 s to 30.0 s), 4 times |"
    )


def test_what_is_missing_is_said_with_the_reason(measure):
    result = measure.Result("build", {"ours": [0.25]}, {"theirs": "theirs is not installed"})
    assert measure.markdown([result], ["ours", "theirs"], "ours").splitlines() == [
        "| | ours | theirs |",
        "| --- | --- | --- |",
        "| build | 250 ms | missing |",
        "",
        "Missing: theirs: theirs is not installed",
    ]


def test_engines_take_turns_and_one_that_fails_is_left_out(measure):
    turns = []

    def fail():
        raise measure.Unavailable("broken")

    contenders = {
        "a": measure.Contender(lambda: turns.append("a"), lambda: turns.append("before a")),
        "b": measure.Contender(fail),
        "c": measure.Contender(lambda: turns.append("c")),
    }
    result = measure.side_by_side("work", contenders, rounds=2, warm=1)
    assert turns == ["before a", "a", "c"] * 3
    assert {name: len(taken) for name, taken in result.seconds.items()} == {"a": 2, "c": 2}
    assert result.missing == {"b": "broken"}

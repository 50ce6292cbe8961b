"""Every case of the table is built, and compared with what Docker made of it."""

import json
import re
from pathlib import Path

import pytest
from tests.conformance import facts, table

HERE = Path(__file__).parent
DIFFERENCES = HERE.parents[1] / "docs/differences-from-docker.md"
CASES = [case for area in table.areas() for case in table.read(area)]
GOLDEN = {area: json.loads((HERE / f"golden/{area}.json").read_text()) for area in table.areas()}

pytestmark = pytest.mark.live


def name(case):
    return f"{case.area}-{case.name}"


@pytest.mark.parametrize("case", CASES, ids=name)
def test_docker_makes_the_same(builder, case):
    theirs = GOLDEN[case.area][case.name]
    ours = builder.record(case)
    if case.differs:
        assert told(ours, theirs) == case.difference
        return
    assert bool(case.fails) == ("fails" in theirs), "the table and Docker disagree: record the case again"
    if case.fails:
        assert "fails" in ours, "it does not fail"
        assert re.search(case.fails, ours["fails"])
        assert theirs["ran"] or not ours["ran"], "steps ran before the error was seen"
    else:
        assert told(ours, theirs) == ()


def told(ours, theirs):
    """What differs, in lines; where one of them fails, that alone."""
    failing = {"fails"} if "fails" in ours or "fails" in theirs else set()
    shown = [
        {key: value for key, value in each.items() if key in (failing or each)} for each in (ours, theirs)
    ]
    return tuple(facts.compare(*shown))


def test_all_that_is_recorded_is_in_the_table():
    for area, recorded in GOLDEN.items():
        assert recorded.keys() == {case.name for case in CASES if case.area == area}


def test_what_differs_is_explained():
    page = DIFFERENCES.read_text()
    for case in CASES:
        assert not case.differs or f"| {case.differs} |" in page, f"{name(case)}: {case.differs}"
        assert bool(case.differs) == bool(case.difference), name(case)


def test_there_are_hundreds():
    assert len(CASES) >= 600

"""What crosses to the caller's process is what was sent."""

import json

import pytest

from tiffin import errors
from tiffin.errors import Excerpt, FailedError, InvalidError, TiffinError, Where
from tiffin.events import (
    Event,
    Notice,
    StepDone,
    StepLog,
    StepProgress,
    StepStarted,
    StepUnreached,
    StepWhy,
    TerminalLent,
)
from tiffin.python.wire import pack_error, pack_event, unpack_error, unpack_event

PLACE = Where("Dockerfile", 3, 1, 5, "FORM x")
EVENTS = [
    StepStarted("1", "RUN x", "build 1/2"),
    StepLog("1", bytes(range(256)), 2),
    StepProgress("1", 5, None, "layers"),
    StepDone("1", "cached", 0.5, "12MB"),
    StepUnreached("2", "RUN y"),
    StepWhy("1", "miss", ("ARG A 1 → 2", "b")),
    Notice("m", "info", PLACE, "Rule"),
    Notice("m"),
    TerminalLent("a shell"),
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_an_event_comes_out_as_it_went_in(event):
    again = unpack_event(json.loads(json.dumps(pack_event(event))))
    assert again == event
    assert type(again) is type(event)
    assert type(getattr(again, "where", None)) is type(getattr(event, "where", None))


def test_every_kind_of_event_is_tried():
    assert {type(event) for event in EVENTS} == set(Event.__args__)


KINDS = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, TiffinError)]


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_comes_out_as_it_went_in(kind):
    error = kind("m", code="c", hint="h", where=PLACE, exit_status=126)
    error.excerpt = Excerpt(2, ("a", "b"), 2, 3)
    again = unpack_error(json.loads(json.dumps(pack_error(error))))
    assert isinstance(again, kind)
    assert again.kind == error.kind
    for name in ("message", "code", "hint", "where", "exit_status", "excerpt"):
        assert getattr(again, name) == getattr(error, name)


def test_the_output_of_what_failed_comes_along():
    error = FailedError("m")
    error.output = "the end"
    again = unpack_error(json.loads(json.dumps(pack_error(error))))
    assert isinstance(again, FailedError)
    assert again.output == "the end"
    plain = unpack_error(json.loads(json.dumps(pack_error(InvalidError("m")))))
    assert (plain.where, plain.excerpt, plain.code) == (None, None, "invalid")

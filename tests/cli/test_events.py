"""The forms in which events are shown: Docker's line, its JSON, and templates."""

import json
import sys
import time

import pytest

from tiffin.engine.events import FILTERS, Event

TIME = 1_767_268_800_123_456_789  # noon of the first of January 2026, in UTC
START = Event(TIME, "container", "start", "0abc", {"name": "a", "image": "web", "com.x": "y"})
CREATE = Event(TIME, "volume", "create", "data", {"driver": "local"})


@pytest.fixture
def show(tiffin, engine, monkeypatch):
    """What is shown of events, an hour east of Greenwich."""
    monkeypatch.setenv("TZ", "XYZ-1")
    time.tzset()

    def run(*words, found=(START, CREATE)):
        engine.answers("events", events=list(found))
        sys.modules["tiffin.engine.events"].FILTERS = FILTERS
        return tiffin("events", *words)

    yield run
    monkeypatch.undo()
    time.tzset()


def test_lines_are_dockers(show):
    assert show().out.splitlines() == [
        "2026-01-01T13:00:00.123456789+01:00 container start 0abc (com.x=y, image=web, name=a)",
        "2026-01-01T13:00:00.123456789+01:00 volume create data (driver=local)",
    ]


def test_nothing_in_a_line_is_an_order_to_the_terminal(show):
    hostile = START._replace(action="exec_start: \x1b[2J\nrm", about={"l": "a\rb\x9b"})
    assert show(found=[hostile]).out.splitlines()[0][36:] == "container exec_start: ?[2J?rm 0abc (l=a?b?)"


def test_json_is_dockers(show):
    for form in ("json", "{{json .}}"):
        one, two = show("--format", form).out.splitlines()
        assert json.loads(one) == {
            "status": "start",
            "id": "0abc",
            "from": "web",
            "Type": "container",
            "Action": "start",
            "Actor": {"ID": "0abc", "Attributes": {"name": "a", "image": "web", "com.x": "y"}},
            "scope": "local",
            "time": 1767268800,
            "timeNano": TIME,
        }
        assert set(json.loads(two)) == {"Type", "Action", "Actor", "scope", "time", "timeNano"}


def test_templates(show):
    form = "{{.Type}} {{.Action}} {{.Actor.Attributes.name}} {{.ID}} {{.From}} {{.Time}} {{json .Actor.ID}}"
    assert show("--format", form).out.splitlines()[0] == 'container start a 0abc web 1767268800 "0abc"'
    assert show("--format", "{{.Actor.Attributes.none}}", found=[CREATE]).out == "<no value>\n"
    assert show("--format", "{{.Nonesuch}}").status == 1


def test_filters_and_times(show, engine):
    show(
        "-f", "type=volume", "-f", "event=create", "--filter", "type=image", "--since", "5", "--until", "7.5"
    )
    filters = {"type": ["volume", "image"], "event": ["create"]}
    assert engine.calls[-1] == ("events", filters, 5.0, 7.5)
    failed = show("-f", "nonesuch=1")
    assert failed.status == 1
    assert "nonesuch" in failed.err
    assert "container, event, image" in failed.err

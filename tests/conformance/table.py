"""The cases: small Dockerfiles with their contexts, one file of them for each subject.

    === name-of-the-case
    context: tree
    options: --target train
    fails: words that the message has
    --- Dockerfile
    FROM base
    COPY dir /out
    --- context
    a.txt 600 = text

A header is optional. `context` names builders of `contexts`, `options` are
those of the command line, where `{place}` is the folder above the context.
`fails` is a regular expression that our message matches, where Docker fails too.
`differs` is the subject in docs/differences-from-docker.md that says why we do something
else, and the section `difference` then holds what differs, as `facts.compare` tells it.

Several sections `Dockerfile` are built one after the other as `made1`, `made2`
and so on; the last one counts. `Dockerfile escaped` has Python's escapes. A line of
`context` is `NAME [MODE] = TEXT`, `NAME/ [MODE]` or `NAME -> TARGET`, with
names as seen from the context; Dockerfiles are called `../Dockerfile1` and on.
"""

import re
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parent / "cases"
_LINE = re.compile(r"(?P<name>.+?)(?: (?P<mode>[0-7]{3,4}))?(?: (?:= ?(?P<text>.*)|-> (?P<target>.*)))?")
_HEADERS = ("context", "options", "fails", "differs")


class Entry(NamedTuple):
    """A line of a context: a file with `text`, a link with `target`, or a directory."""

    name: str
    mode: int | None
    text: str | None
    target: str | None


class Case(NamedTuple):
    """A case of the table."""

    name: str
    area: str
    dockerfiles: tuple[bytes, ...]
    builders: tuple[str, ...] = ()
    entries: tuple[Entry, ...] = ()
    options: str = ""
    fails: str = ""
    differs: str = ""
    difference: tuple[str, ...] = ()


def areas():
    """The names of the subjects."""
    return sorted(path.stem for path in FOLDER.glob("*.txt"))


def read(area):
    """The cases of a subject, in the order of its file."""
    text = (FOLDER / f"{area}.txt").read_text()
    _, *parts = re.split(r"^=== ", text, flags=re.MULTILINE)
    cases = [_case(area, part) for part in parts]
    assert len({case.name for case in cases}) == len(cases), f"a name of {area} is given twice"
    return cases


def _case(area, text):
    head, *sections = re.split(r"^--- ", text, flags=re.MULTILINE)
    name, *lines = head.strip().splitlines()
    headers = dict(line.split(": ", 1) for line in lines if not line.startswith("#"))
    assert headers.keys() <= set(_HEADERS), f"{area}: {name}: {headers}"
    dockerfiles, entries, difference = [], [], ()
    for section in sections:
        title, _, body = section.partition("\n")
        match title.strip():
            case "Dockerfile":
                dockerfiles.append(body.encode())
            case "Dockerfile escaped":
                dockerfiles.append(body.encode().decode("unicode_escape").encode("latin-1"))
            case "context":
                entries += [_entry(line) for line in body.splitlines() if line]
            case "difference":
                difference = tuple(line for line in body.splitlines() if line)
            case other:
                raise AssertionError(f"{area}: {name}: there is no section {other}")
    assert dockerfiles, f"{area}: {name}: there is no Dockerfile"
    return Case(
        name,
        area,
        tuple(dockerfiles),
        tuple(headers.get("context", "").split()),
        tuple(entries),
        headers.get("options", ""),
        headers.get("fails", ""),
        headers.get("differs", ""),
        difference,
    )


def _entry(line):
    found = _LINE.fullmatch(line)
    assert found, line
    mode = found["mode"]
    return Entry(found["name"], int(mode, 8) if mode else None, found["text"], found["target"])

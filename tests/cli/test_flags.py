"""Every flag that Docker 28 lists is done, refused with a reason, or ignored as Docker ignores it."""

from pathlib import Path

import pytest

from tiffin.cli import catalog

# Of each command what its `--help` listed; verbs of a group that stand alone too have their flags there.
LISTED = Path(__file__).parents[1] / "golden" / "cli" / "docker-28.txt"
BUILDX = """
builder prune: -a,--all --builder= --filter= -f,--force --keep-storage= --max-used-space= --min-free-space= \
--reserved-space=
builder du: --builder= --filter= --format= --verbose
builder ls: --format= --no-trunc
builder inspect: --bootstrap --builder=
builder use: --builder= --default --global
stop: --time=
"""


@pytest.mark.parametrize("line", [*LISTED.read_text().splitlines(), *BUILDX.strip().splitlines()])
def test_docker_s_verbs_and_flags_are_known(line, tiffin):
    path, _, flags = line.partition(":")
    found = catalog.find(path)
    if found is None:
        refused = tiffin(*path.split())
        assert refused.status == 1
        assert refused.err.startswith("error: tiffin has no command")
        assert len(refused.err.splitlines()) == 2, "nothing is said of what to do instead"
        return
    known = {(option.short, option.long): option for option in catalog.load(found[0]).options}
    for word in flags.split():
        spelling, takes = word.rstrip("="), word.endswith("=")
        short, _, long = spelling.rpartition(",")
        option = known.get((short.lstrip("-"), long.lstrip("-")))
        assert option is not None, f"{path} {word}"
        assert option.refused or option.takes_word is takes, f"{path} {word}"


@pytest.mark.parametrize(("path", "location", "summary"), list(catalog.paths()))
def test_every_command_can_be_loaded_and_explained(path, location, summary, tiffin):
    command = catalog.load(location)
    assert command.least <= command.most
    assert command.examples
    assert summary[0].isupper()
    assert not summary.endswith(".")
    names = [name for option in command.options for name in (option.short, option.long) if name]
    assert len(names) == len(set(names)), "an option is spelt twice"
    result = tiffin(*path.split(), "--help")
    assert result.status == 0
    assert result.out.startswith(f"Usage:  tiffin {path}")
    assert result.out == tiffin("help", *path.split()).out
    assert all(len(row) <= 80 for row in result.out.splitlines() if not row.startswith("  tiffin"))
    for option in command.options:
        assert any(f"--{option.long}{after}" in result.out for after in (" ", "\n", "[=")) == option.shown

"""Every flag that Docker 28 lists is done, refused with a reason, or ignored as Docker ignores it."""

import pytest

from tiffin.cli import catalog

# command: flags of `docker COMMAND --help`
DOCKER = """
exec: -d,--detach --detach-keys= -e,--env= --env-file= -i,--interactive --privileged -t,--tty -u,--user= \
-w,--workdir=
images: -a,--all --digests -f,--filter= --format= --no-trunc -q,--quiet --tree
ps: -a,--all -f,--filter= --format= -n,--last= -l,--latest --no-trunc -q,--quiet -s,--size
logs: --details -f,--follow --since= -n,--tail= -t,--timestamps --until=
system df: --format= -v,--verbose
system prune: -a,--all --filter= -f,--force --volumes
history: --format= -H,--human --no-trunc --platform= -q,--quiet
inspect: -f,--format= -s,--size --type=
image inspect: -f,--format= --platform=
container inspect: -f,--format= -s,--size
save: -o,--output= --platform=
load: -i,--input= --platform= -q,--quiet
volume create: --availability= -d,--driver= --group= --label= --limit-bytes= -o,--opt= --required-bytes= \
--scope= --secret= --sharing= --topology-preferred= --topology-required= --type=
volume ls: --cluster -f,--filter= --format= -q,--quiet
volume rm: -f,--force
volume inspect: -f,--format=
volume prune: -a,--all --filter= -f,--force
info: -f,--format=
version: -f,--format=
rmi: -f,--force --no-prune --platform=
stop: -s,--signal= -t,--timeout= --time=
kill: -s,--signal=
rm: -f,--force -l,--link -v,--volumes
wait:
start: -a,--attach --checkpoint= --checkpoint-dir= --detach-keys= -i,--interactive
tag:
pull: -a,--all-tags --disable-content-trust --platform= -q,--quiet
push: -a,--all-tags --disable-content-trust --platform= -q,--quiet
login: -p,--password= --password-stdin -u,--username=
logout:
image prune: -a,--all --filter= -f,--force
container prune: --filter= -f,--force
builder prune: -a,--all --builder= --filter= -f,--force --keep-storage= --max-used-space= --min-free-space= \
--reserved-space=
builder du: --builder= --filter= --format= --verbose
builder ls: --format= --no-trunc
builder inspect: --bootstrap --builder=
builder use: --builder= --default --global
"""


@pytest.mark.parametrize("line", DOCKER.strip().splitlines())
def test_docker_s_flags_are_known(line):
    path, _, flags = line.partition(":")
    found = catalog.find(path)
    assert found is not None, path
    command = catalog.load(found[0])
    known = {(option.short, option.long): option.kind != "flag" for option in command.options}
    for word in flags.split():
        spelling, takes = word.rstrip("="), word.endswith("=")
        short, _, long = spelling.rpartition(",")
        assert known.get((short.lstrip("-"), long.lstrip("-"))) is takes, f"{path} {word}"


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

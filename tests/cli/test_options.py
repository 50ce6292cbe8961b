"""Docker's flag habits, as pflag has them; each line was tried with Docker 28 where Docker has the flag."""

import pytest

from tiffin.cli.commands.build import OPTIONS as BUILD
from tiffin.cli.containerflags import OPTIONS as RUN
from tiffin.cli.options import HelpAsked, flag, ignore, number, optional, parse, refuse, value, values
from tiffin.errors import InvalidError, UnsupportedError

OPTIONS = (
    flag("-d, --detach", "x"),
    flag("-i, --interactive", "x"),
    flag("-t, --tty", "x"),
    flag("--human", "x", default=True),
    values("-e, --env", "E", "x"),
    values("-p, --publish", "P", "x"),
    value("--name", "N", "x"),
    value("--pull", "P", "x", default="missing", choices=("always", "missing")),
    number("-n, --last", "N", "x", default=-1),
    *refuse("not here", "--privileged", "-m, --memory=", "--restart=no"),
    *ignore("--compress", "--trust="),
)


def read(*words, **how):
    return parse(OPTIONS, words, command="run", **how)


@pytest.mark.parametrize(
    ("words", "name", "found"),
    [
        (["-it"], "interactive", True),
        (["-it"], "tty", True),
        (["-itd"], "detach", True),
        (["--detach=false"], "detach", False),
        (["--detach=F"], "detach", False),
        (["--detach=1"], "detach", True),
        (["-d=false"], "detach", False),
        (["--detach", "--detach=false"], "detach", False),
        ([], "human", True),
        (["--human=false"], "human", False),
    ],
)
def test_switches(words, name, found):
    assert read(*words).flag(name) is found


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["-p8000:8000"], ("8000:8000",)),
        (["-p=8000:8000"], ("8000:8000",)),
        (["-p", "8000:8000"], ("8000:8000",)),
        (["--publish=8000:8000"], ("8000:8000",)),
        (["--publish", "8000:8000"], ("8000:8000",)),
        (["-itp8000:8000"], ("8000:8000",)),
        (["-itp", "8000:8000"], ("8000:8000",)),
        (["-p1", "-p", "2", "--publish=3"], ("1", "2", "3")),
        (["-p", "-1"], ("-1",)),
        (["--publish", "--detach"], ("--detach",)),
        (["--publish="], ("",)),
    ],
)
def test_values_in_every_spelling(words, found):
    assert read(*words).texts("publish") == found


def test_a_value_keeps_its_equals_signs():
    assert read("-eA=b=c", "--env=D=e=f", "-e=G=h", "--env", "I").texts("env") == (
        "A=b=c",
        "D=e=f",
        "G=h",
        "I",
    )
    assert read("-eA=b=c", "--env", "I").pairs("env") == {"A": "b=c", "I": ""}


def test_the_last_of_a_single_option_counts():
    assert read("--name", "a", "--name=b").text("name") == "b"


def test_options_and_words_mix_unless_another_command_follows():
    mixed = read("image", "--name", "x", "cmd", "-d")
    assert (mixed.words, mixed.text("name"), mixed.flag("detach")) == (("image", "cmd"), "x", True)
    wrapped = read("-d", "image", "--name", "x", "-it", "--", "y", stop_at_word=True)
    assert wrapped.words == ("image", "--name", "x", "-it", "--", "y")
    assert wrapped.text("name") is None


def test_two_dashes_end_the_options():
    assert read("-d", "--", "-it", "--name").words == ("-it", "--name")
    assert read("--", "image", "--", "x", stop_at_word=True).words == ("image", "--", "x")


@pytest.mark.parametrize(
    ("words", "found", "rest"),
    [
        ((), None, ()),
        (("--shell", "x"), "sh", ("x",)),
        (("--shell=bash -i", "x"), "bash -i", ("x",)),
        (("--shell=",), "", ()),
        (("-s", "x"), "sh", ("x",)),
        (("-qs", "x"), "sh", ("x",)),
        (("-sq=false", "x"), "sh", ("x",)),
        (("-s=bash", "x"), "bash", ("x",)),
    ],
)
def test_a_value_that_can_be_left_out_takes_no_word(words, found, rest):
    options = (optional("-s, --shell", "COMMAND", "x", implied="sh"), flag("-q, --quiet", "x"))
    arguments = parse(options, words)
    assert (arguments.text("shell"), arguments.words) == (found, rest)


def test_a_single_dash_is_a_word():
    assert read("-", "-d").words == ("-",)


def test_what_was_not_given_has_its_default():
    arguments = read()
    assert (arguments.text("pull"), arguments.number("last"), arguments.texts("env")) == ("missing", -1, ())
    assert arguments.given == frozenset()
    assert read("--pull=always").given == {"pull"}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--nosuch"], "unknown flag: --nosuch"),
        (["-Z"], "unknown shorthand flag: 'Z' in -Z"),
        (["-iZ"], "unknown shorthand flag: 'Z' in -iZ"),
        (["-p"], "flag needs an argument: 'p' in -p"),
        (["--name"], "flag needs an argument: --name"),
        (["--detach=maybe"], 'invalid argument "maybe" for "-d, --detach" flag'),
        (["--last=x"], 'invalid argument "x" for "-n, --last" flag'),
        (["--pull=x"], "must be always or missing"),
    ],
)
def test_wrong_words_are_refused_in_docker_s_terms(words, says):
    with pytest.raises(InvalidError) as caught:
        read(*words)
    assert says in caught.value.message
    assert "See 'tiffin run --help'" in caught.value.hint


def test_a_misspelt_flag_names_the_nearest_that_work():
    with pytest.raises(InvalidError) as caught:
        read("--publsh", "1")
    assert "did you mean --publish" in caught.value.hint
    with pytest.raises(InvalidError) as caught:
        read("--privilege")
    assert "privileged" not in caught.value.hint  # it would be refused


@pytest.mark.parametrize("words", [["--privileged"], ["-m", "1g"], ["--memory=1g"], ["--restart=always"]])
def test_what_we_do_not_do_is_refused_with_the_reason(words):
    with pytest.raises(UnsupportedError, match="not here"):
        read(*words)


@pytest.mark.parametrize(
    "words", [["--privileged=false"], ["--restart=no"], ["--compress"], ["--trust", "x"]]
)
def test_what_asks_for_nothing_else_than_is_done_is_accepted(words):
    assert read(*words, "word").words == ("word",)


def test_help_is_asked_for_by_our_own_words_only():
    for words in (["--help"], ["-d", "--help"], ["-h"]):
        with pytest.raises(HelpAsked):
            read(*words)
    assert read("image", "--help", stop_at_word=True).words == ("image", "--help")
    assert read("--name", "--help").text("name") == "--help"
    assert parse(RUN, ["-h", "box", "image"], stop_at_word=True).text("hostname") == "box"


# Every flag in `docker run --help` and `docker build --help` of Docker 28, and hidden old spellings;
# = marks those that take a value.
DOCKER_RUN = """
--add-host= --annotation= -a= --attach= --blkio-weight= --blkio-weight-device= --cap-add= --cap-drop=
--cgroup-parent= --cgroupns= --cidfile= --cpu-count= --cpu-percent= --cpu-period= --cpu-quota=
--cpu-rt-period= --cpu-rt-runtime= -c= --cpu-shares= --cpus= --cpuset-cpus= --cpuset-mems= -d --detach
--detach-keys= --device= --device-cgroup-rule= --device-read-bps= --device-read-iops= --device-write-bps=
--device-write-iops= --disable-content-trust --dns= --dns-option= --dns-search= --domainname=
--entrypoint= -e= --env= --env-file= --expose= --gpus= --group-add= --health-cmd= --health-interval=
--health-retries= --health-start-interval= --health-start-period= --health-timeout= -h= --hostname=
--init -i --interactive --io-maxbandwidth= --io-maxiops= --ip= --ip6= --ipc= --isolation=
--kernel-memory= -l= --label= --label-file= --link= --link-local-ip= --log-driver= --log-opt=
--mac-address= -m= --memory= --memory-reservation= --memory-swap= --memory-swappiness= --mount= --name=
--network= --net= --network-alias= --net-alias= --no-healthcheck --oom-kill-disable --oom-score-adj=
--pid= --pids-limit= --platform= --privileged -p= --publish= -P --publish-all --pull= -q --quiet
--read-only --restart= --rm --runtime= --security-opt= --shm-size= --sig-proxy --stop-signal=
--stop-timeout= --storage-opt= --sysctl= --tmpfs= -t --tty --ulimit= --use-api-socket -u= --user=
--userns= --uts= -v= --volume= --volume-driver= --volumes-from= -w= --workdir=
"""
DOCKER_BUILD = """
--add-host= --allow= --annotation= --attest= --build-arg= --build-context= --builder= --cache-from=
--cache-to= --call= --cgroup-parent= --check -f= --file= --iidfile= --label= --load --metadata-file=
--network= --no-cache --no-cache-filter= -o= --output= --platform= --progress= --provenance= --pull
--push -q --quiet --sbom= --secret= --shm-size= --ssh= -t= --tag= --target= --ulimit= --compress
--cpu-period= --cpu-quota= -c= --cpu-shares= --cpuset-cpus= --cpuset-mems= --disable-content-trust
--force-rm --isolation= -m= --memory= --memory-swap= --rm --security-opt= --squash
"""


@pytest.mark.parametrize(("options", "listed"), [(RUN, DOCKER_RUN), (BUILD, DOCKER_BUILD)])
def test_every_flag_of_docker_is_known_with_the_right_arity(options, listed):
    known = {}
    for option in options:
        takes = "=" if option.kind != "flag" else ""
        known[f"--{option.long}"] = takes
        if option.short:
            known[f"-{option.short}"] = takes
    docker = {word.rstrip("="): "=" if word.endswith("=") else "" for word in listed.split()}
    assert {name: known.get(name) for name in docker} == docker


def test_every_refusal_says_why():
    for option in (*RUN, *BUILD):
        assert bool(option.refused) + bool(option.ignored) + bool(option.help) <= 1
        assert not option.refused or len(option.refused) > 10

"""Listings, to the character as Docker 28.2 printed them for the same facts."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from tiffin.cli import containerfilters, portcolumn
from tiffin.engine.fsck import Problem, Report
from tiffin.errors import InvalidError

NOW = 1_795_377_600.0
A, B, C, D = (f"sha256:{letter * 64}" for letter in "abcd")


def golden(name):
    """What Docker 28.2 printed."""
    return (Path(__file__).parents[1] / "golden" / "cli" / f"{name}.txt").read_text()


@pytest.fixture(autouse=True)
def _clock(monkeypatch):
    monkeypatch.setattr("time.time", lambda: NOW)


def image(identity, references, age, size, **more):
    more = {"digest": "", "labels": {}, **more}
    return SimpleNamespace(id=identity, references=references, created=NOW - age, size=size, **more)


IMAGES = [
    image(A, ("finca-serving:latest", "finca-serving:1.2"), 120, 238_412_345, digest="sha256:" + "1" * 64),
    image(B, ("localhost:5000/base/py:3.11.8-slim",), 3 * 3600, 45_600_000),
    image(C, (), 3 * 86400, 1_234_567_890, labels={"a": "b"}),
]


def container(**facts):
    usual = {
        "id": "1" * 64,
        "name": "quirky_fermat",
        "image": "finca-serving",
        "image_id": A,
        "command": ("uvicorn", "serve:app", "--host", "0.0.0.0", "--port", "8000"),
        "created": NOW - 65,
        "state": "running",
        "exit_code": None,
        "started": NOW - 64,
        "finished": None,
        "ports": ("0.0.0.0:8000->8000/tcp", "[::]:8000->8000/tcp"),
        "labels": {"k": "v", "a": "b"},
        "mounts": ("v1",),
        "network": "bridge",
        "size": 12345,
        "image_size": 238_000_000,
        "health": "",
        "targets": ("/data",),
        "exposed": ("8000/tcp", "53/udp"),
        "layers": ("sha256:1", "sha256:2"),
    }
    return SimpleNamespace(**{**usual, **facts})


CONTAINERS = [
    container(),
    container(
        id="2" * 64,
        name="b",
        image="b:1",
        image_id=B,
        command=("true",),
        created=NOW - 7200,
        state="exited",
        exit_code=0,
        started=NOW - 7200,
        finished=NOW - 7200,
        ports=("9000/udp", "127.0.0.1:81->8001/tcp"),
        labels={},
        mounts=(),
        targets=(),
        exposed=(),
        layers=("sha256:1",),
        network="none",
        size=0,
        image_size=0,
    ),
]


def test_images_as_docker_lists_them(tiffin, engine):
    engine.answers("images", list_images=IMAGES)
    assert tiffin("images").out == golden("images")


def test_images_with_digests_whole_ids_and_ids_only(tiffin, engine):
    engine.answers("images", list_images=IMAGES[:2])
    lines = tiffin("images", "--digests", "--no-trunc").out.splitlines()
    assert lines[0].split() == ["REPOSITORY", "TAG", "DIGEST", "IMAGE", "ID", "CREATED", "SIZE"]
    assert lines[1].split()[2:4] == ["sha256:" + "1" * 64, A]
    assert lines[3].split()[2:4] == ["<none>", B]
    assert tiffin("images", "-q").out.split() == ["a" * 12, "a" * 12, "b" * 12]
    assert tiffin("images", "-q", "--no-trunc").out.split() == [A, A, B]


@pytest.mark.parametrize(
    ("form", "printed"),
    [
        ("{{.Repository}}:{{.Tag}}", ["finca-serving:latest", "finca-serving:1.2"]),
        (
            "table {{.ID}}\\t{{.Size}}",
            ["IMAGE ID       SIZE", "aaaaaaaaaaaa   238MB", "aaaaaaaaaaaa   238MB"],
        ),
        (
            "table {{.ID | upper}} {{.Repository}}",
            ["IMAGE ID REPOSITORY", "AAAAAAAAAAAA finca-serving", "AAAAAAAAAAAA finca-serving"],
        ),
        ("a\\tb", ["a\tb", "a\tb"]),
        ("{{.CreatedAt}} {{.VirtualSize}}", ["2026-11-22 19:58:00 +0000 UTC 238.4MB"] * 2),
    ],
)
def test_images_through_templates(tiffin, engine, form, printed):
    engine.answers("images", list_images=IMAGES[:1])
    assert tiffin("images", "--format", form).out.splitlines() == printed


def test_images_as_json_have_docker_s_fields(tiffin, engine):
    engine.answers("images", list_images=IMAGES[2:])
    assert tiffin("images", "--format", "json").out == (
        '{"Containers":"N/A","CreatedAt":"2026-11-19 20:00:00 +0000 UTC","CreatedSince":"3 days ago",'
        '"Digest":"\\u003cnone\\u003e","ID":"cccccccccccc","Repository":"\\u003cnone\\u003e","SharedSize":"N/A",'
        '"Size":"1.23GB","Tag":"\\u003cnone\\u003e","UniqueSize":"N/A","VirtualSize":"1.235GB"}\n'
    )


def test_a_wrong_template_fails_even_if_there_is_nothing_to_list(tiffin, engine):
    engine.answers("images", list_images=[])
    assert tiffin("images", "--format", "{{.ID").status == 1
    engine.answers("images", list_images=IMAGES)
    result = tiffin("images", "--format", "{{.Repo}}")
    assert result.status == 1
    assert ".Repository" in result.err


@pytest.mark.parametrize(
    ("filters", "ids"),
    [
        (["dangling=true"], "c"),
        (["dangling=false"], "aab"),
        (["label=a"], "c"),
        (["label=a=x"], ""),
        (["reference=finca-*"], "aa"),
        (["reference=*:1.2"], "aa"),
        (["reference=localhost:5000/*/py"], "b"),
        (["before=finca-serving:1.2"], "bc"),
        (["since=localhost:5000/base/py:3.11.8-slim"], "aa"),
        (["until=1h"], "bc"),
        (["until=1h", "dangling=true"], "c"),
    ],
)
def test_images_filtered(tiffin, engine, filters, ids):
    engine.answers("images", list_images=IMAGES)
    words = [word for one in filters for word in ("--filter", one)]
    assert [line[0] for line in tiffin("images", "-q", *words).out.splitlines()] == list(ids)


@pytest.mark.parametrize(
    ("one", "says"),
    [("x", "name=value is needed"), ("x=y", "there is no filter 'x'"), ("since=nope", "nope")],
)
def test_wrong_filters_are_refused(tiffin, engine, one, says):
    engine.answers("images", list_images=IMAGES)
    result = tiffin("images", "--filter", one)
    assert result.status == 1
    assert says in result.err


def test_a_name_is_handed_to_the_engine(tiffin, engine):
    engine.answers("images", list_images=[])
    tiffin("images", "finca-serving:1.2", "-a")
    assert engine.calls[-1] == ("list_images", {"name": "finca-serving:1.2", "all_": True})


def test_containers_as_docker_lists_them(tiffin, engine):
    engine.answers("containers", ps=CONTAINERS)
    assert tiffin("ps", "-a").out == golden("ps")
    assert engine.calls[-1] == ("ps", True, {"sizes": False})


def test_containers_with_sizes_whole_and_by_template(tiffin, engine):
    engine.answers("containers", ps=CONTAINERS)
    assert tiffin("ps", "-as").out.splitlines()[1].endswith("quirky_fermat   12.3kB (virtual 238MB)")
    assert '"uvicorn serve:app --host 0.0.0.0 --port 8000"' in tiffin("ps", "--no-trunc").out
    assert tiffin("ps", "-aq").out.split() == ["1" * 12, "2" * 12]
    form = '{{.Names}}\t{{.Labels}} {{.Label "k"}} {{.RunningFor}} {{.State}} {{.Mounts}} {{.Networks}}'
    assert tiffin("ps", "-a", "--format", form).out.splitlines() == [
        "quirky_fermat\ta=b,k=v v About a minute ago running v1 bridge",
        "b\t  2 hours ago exited  none",
    ]


def test_without_containers_there_is_the_heading_alone(tiffin, engine):
    engine.answers("containers", ps=[])
    assert tiffin("ps").out == "CONTAINER ID   IMAGE     COMMAND   CREATED   STATUS    PORTS     NAMES\n"
    assert engine.calls[-1] == ("ps", False, {"sizes": False})


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({}, "Up About a minute"),
        ({"health": "starting"}, "Up About a minute (health: starting)"),
        ({"health": "unhealthy"}, "Up About a minute (unhealthy)"),
        ({"state": "restarting", "exit_code": 1, "finished": NOW - 3}, "Restarting (1) 3 seconds ago"),
        ({"state": "paused"}, "Up About a minute (Paused)"),
        ({"state": "exited", "exit_code": 137, "finished": NOW - 3}, "Exited (137) 3 seconds ago"),
        ({"state": "created"}, "Created"),
        ({"state": "dead"}, "Dead"),
    ],
)
def test_status_in_words(tiffin, engine, facts, words):
    engine.answers("containers", ps=[container(**facts)])
    assert tiffin("ps", "-a", "--format", "{{.Status}}").out == words + "\n"


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["--filter", "status=exited"], "b"),
        (["--filter", "status=exited", "--filter", "status=running"], "quirky_fermat b"),
        (["--filter", "name=fermat"], "quirky_fermat"),
        (["--filter", "name=^/b$"], "b"),
        (["--filter", "label=k=v"], "quirky_fermat"),
        (["--filter", "ancestor=finca-serving"], "quirky_fermat"),
        (["--filter", "ancestor=b:1"], "b"),
        (["--filter", "exited=0"], "b"),
        (["--filter", "exited=1"], ""),
        (["--filter", "id=22"], "b"),
        (["--filter", "volume=v1"], "quirky_fermat"),
        (["--filter", "volume=/data"], "quirky_fermat"),
        (["--filter", "volume=/dat"], ""),
        (["--filter", "is-task=true"], ""),
        (["--filter", "is-task=0"], "quirky_fermat b"),
        (["--filter", "health=none"], "quirky_fermat b"),
        (["--filter", "health=healthy"], ""),
        (["--filter", "expose=53/udp"], "quirky_fermat"),
        (["--filter", "expose=8000-8001"], "quirky_fermat b"),
        (["--filter", "expose=53"], ""),
        (["--filter", "publish=81"], "b"),
        (["--filter", "publish=80-8000/tcp"], "quirky_fermat b"),
        (["--filter", "publish=8000/udp"], ""),
        (["--filter", "network=none"], "b"),
        (["--filter", "since=b"], "quirky_fermat"),
        (["--filter", f"before={'1' * 12}"], "b"),
        (["-l"], "quirky_fermat"),
        (["-n", "1"], "quirky_fermat"),
        (["--last=5"], "quirky_fermat b"),
    ],
)
def test_containers_filtered(tiffin, engine, words, names):
    engine.answers("containers", ps=CONTAINERS)
    engine.answers("ancestry", ancestors={})
    assert tiffin("ps", "-a", "--format", "{{.Names}}", *words).out.split() == names.split()


@pytest.mark.parametrize(
    ("ancestor", "names"),
    [
        (("sha256:x", ("sha256:1",)), "quirky_fermat b"),
        (("sha256:x", ("sha256:1", "sha256:2")), "quirky_fermat"),
        (("sha256:x", ("sha256:2",)), ""),
        ((B, ("sha256:9",)), "b"),
        (("sha256:x", ()), ""),
    ],
)
def test_containers_that_stem_from_an_image(tiffin, engine, ancestor, names):
    engine.answers("containers", ps=CONTAINERS)
    found = SimpleNamespace(image_id=ancestor[0], layers=ancestor[1])
    engine.answers("ancestry", ancestors=lambda asked: dict.fromkeys(asked, found))
    assert (
        tiffin("ps", "-a", "--format", "{{.Names}}", "--filter", "ancestor=base").out.split() == names.split()
    )


def test_filters_look_at_all_containers_and_show_those_that_run(tiffin, engine):
    engine.answers("containers", ps=CONTAINERS)
    assert tiffin("ps", "--format", "{{.Names}}", "--filter", "since=b").out == "quirky_fermat\n"
    assert tiffin("ps", "-q", "--filter", "name=b").out == ""


@pytest.mark.parametrize(
    ("one", "says"),
    [
        ("status=rruning", "must be one of created, running"),
        ("status=rruning", "did you mean running?"),
        ("health=well", "must be one of none, starting, healthy, unhealthy"),
        ("exited=x", "an exit code is a number"),
        ("publish=http", "a port is needed"),
        ("expose=1:2", "a port is needed"),
        ("is-task=perhaps", "true or false is needed"),
        ("name=(", "no regular expression"),
        ("before=quirky", "there is none"),
        ("since=quirky_ferma", "did you mean quirky_fermat?"),
        ("namez=x", "did you mean name?"),
    ],
)
def test_wrong_filters_of_containers_are_refused(tiffin, engine, one, says):
    engine.answers("containers", ps=CONTAINERS)
    refused = tiffin("ps", "--filter", one)
    assert (refused.status, refused.out) == (1, "")
    assert says in refused.err


@pytest.mark.parametrize(
    ("ports", "cell"),
    [
        ((), ""),
        (("80/tcp", "81/tcp", "82/udp", "90/tcp"), "80-81/tcp, 90/tcp, 82/udp"),
        (("0.0.0.0:81->81/tcp", "0.0.0.0:80->80/tcp"), "0.0.0.0:80-81->80-81/tcp"),
        (("0.0.0.0:8080->80/tcp", "[::]:8080->80/tcp", "443/tcp"),
         "443/tcp, 0.0.0.0:8080->80/tcp, [::]:8080->80/tcp"),
        (("[::1]:80->80/tcp", "127.0.0.1:80->80/tcp"), "127.0.0.1:80->80/tcp, [::1]:80->80/tcp"),
    ],
)  # fmt: skip
def test_ports_in_one_cell(ports, cell):
    assert portcolumn.column(ports) == cell


def test_asking_for_exited_or_last_ones_asks_the_engine_for_all(tiffin, engine):
    engine.answers("containers", ps=CONTAINERS)
    for words in (["--filter", "status=exited"], ["-l"], ["-n", "2"], ["--filter", "exited=3"]):
        tiffin("ps", *words)
        assert engine.calls[-1] == ("ps", True, {"sizes": False})


HISTORY = [
    SimpleNamespace(
        id=A,
        created=NOW - 120,
        created_by='CMD ["uvicorn" "serve:app"]',
        size=0,
        comment="buildkit.dockerfile.v0",
    ),
    SimpleNamespace(
        id="<missing>",
        created=NOW - 130,
        created_by="RUN /bin/sh -c pip install --no-cache-dir -r requirements.txt # buildkit",
        size=182_412_345,
        comment="buildkit.dockerfile.v0",
    ),
    SimpleNamespace(
        id="<missing>",
        created=NOW - 86400 * 40,
        created_by="/bin/sh -c #(nop) ADD file:abc in / ",
        size=74_800_000,
        comment="",
    ),
]


def test_history_as_docker_prints_it(tiffin, engine):
    engine.answers("images", history=HISTORY)
    assert tiffin("history", "x").out == golden("history")


def test_history_for_machines(tiffin, engine):
    engine.answers("images", history=HISTORY)
    lines = tiffin("history", "-H=false", "x").out.splitlines()
    assert lines[0].split("  ")[0] == "IMAGE"
    assert lines[0].endswith("   SIZE        COMMENT")
    assert "   CREATED AT             CREATED BY   " in lines[0]
    assert lines[2].startswith("<missing>      2026-11-22T19:57:50Z   RUN /bin/sh -c pip")
    assert "   182412345   buildkit" in lines[2]
    assert tiffin("history", "-q", "x").out.split() == ["a" * 12, "<missing>", "<missing>"]
    assert "requirements.txt # buildkit" in tiffin("history", "--no-trunc", "x").out
    assert tiffin("history", "--format", "json", "x").out.splitlines()[2] == (
        '{"Comment":"","CreatedAt":"2026-10-13T20:00:00Z","CreatedBy":"/bin/sh -c #(nop) ADD file:abc in / ",'
        '"CreatedSince":"5 weeks ago","ID":"\\u003cmissing\\u003e","Size":"74.8MB"}'
    )


def usage():
    shared = 45_600_000
    images = (
        SimpleNamespace(**{**vars(IMAGES[0]), "containers": 1, "shared_size": shared}),
        SimpleNamespace(**{**vars(IMAGES[1]), "containers": 0, "shared_size": shared}),
        SimpleNamespace(**{**vars(IMAGES[2]), "containers": 0, "shared_size": 0}),
    )
    cache = SimpleNamespace(
        kind="regular", description="pip", created=NOW - 86400 * 800, used=NOW - 86400 * 800, uses=3
    )
    return SimpleNamespace(
        layers_size=1_500_000_000,
        images=images,
        containers=CONTAINERS,
        volumes=(
            SimpleNamespace(name="v1", size=4096, links=1),
            SimpleNamespace(name="f" * 64, size=1_000_000, links=0),
        ),
        cache=(
            SimpleNamespace(**vars(cache), id="abc", size=8_000_000, in_use=False, shared=False),
            SimpleNamespace(**vars(cache), id="abx", size=2_000_000, in_use=True, shared=True),
        ),
    )


def test_disk_usage_as_docker_sums_it_up(tiffin, engine):
    engine.answers("prune", disk_usage=usage())
    assert tiffin("system", "df").out.splitlines() == [
        "TYPE            TOTAL     ACTIVE    SIZE      RECLAIMABLE",
        "Images          3         1         1.5GB     1.307GB (87%)",
        "Containers      2         1         12.35kB   0B (0%)",
        "Local Volumes   2         1         1.004MB   1MB (99%)",
        "Build Cache     2         1         8MB       8MB",
    ]
    assert tiffin("system", "df", "--format", "{{.Type}} {{.Reclaimable}}").out.splitlines()[0] == (
        "Images 1.307GB (87%)"
    )


def test_disk_usage_in_detail(tiffin, engine):
    engine.answers("prune", disk_usage=usage())
    text = tiffin("system", "df", "-v").out
    assert text.startswith("Images space usage:\n\nREPOSITORY")
    assert "aaaaaaaaaaaa   2 minutes ago   238MB     45.6MB        192.8MB       1\n" in text
    assert "\nv1                                                                 1         4.096kB\n" in text
    assert text.endswith(
        "Build cache usage: 8MB\n\n"
        "CACHE ID   CACHE TYPE   SIZE      CREATED       LAST USED     USAGE     SHARED\n"
        "abc        regular      8MB       2 years ago   2 years ago   3         false\n"
        "abx*       regular      2MB       2 years ago   2 years ago   3         true\n"
    )
    assert tiffin("system", "df", "-v", "--format", "json").status == 1


VOLUMES = [
    SimpleNamespace(name="v1", mountpoint="/s/v1", created=0.0, labels={"a": "b"}, containers=("c",)),
    SimpleNamespace(name="f" * 64, mountpoint="/s/f", created=0.0, labels={}, containers=()),
]


def test_volumes_as_docker_lists_them(tiffin, engine):
    engine.answers("volumes", list_volumes=VOLUMES)
    assert tiffin("volume", "ls").out == f"DRIVER    VOLUME NAME\nlocal     {'f' * 64}\nlocal     v1\n"
    assert tiffin("volume", "ls", "-q", "--filter", "dangling=true").out == "f" * 64 + "\n"
    assert tiffin("volume", "ls", "-q", "--filter", "name=v").out == "v1\n"
    assert tiffin("volume", "ls", "--format", '{{.Name}} {{.Label "a"}} {{.Links}}').out.endswith("v1 b 1\n")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("8000", True),
        ("8000/tcp", True),
        ("8000/udp", False),
        ("7000-9000", True),
        ("80", False),
        ("9000", False),
    ],
)
def test_the_filter_for_published_ports_asks_for_those_of_this_machine(text, found):
    one = container(ports=("127.0.0.1:8000->80/tcp", "0.0.0.0:53->53/udp"))
    assert bool(containerfilters.Filters((f"publish={text}",), ["publish"]).select([one], {})) is found


def test_a_published_port_is_a_number():
    with pytest.raises(InvalidError, match="publish=http"):
        containerfilters.Filters(("publish=http",), ["publish"])


@pytest.mark.parametrize(
    ("problems", "options", "status", "last"),
    [
        ((), (), 0, "All is as it should be"),
        ((), ("--repair",), 0, "All is as it should be"),
        (
            (Problem("one"), Problem("two")),
            (),
            1,
            "2 problems found; 'tiffin system fsck --repair' mends what it can",
        ),
        ((Problem("one", "mended"),), ("--repair",), 0, "All that was wrong is mended"),
        (
            (Problem("one", "mended"), Problem("two")),
            ("--repair",),
            1,
            "1 problem left that cannot be mended from what is here",
        ),
    ],
)
def test_fsck(tiffin, engine, problems, options, status, last):
    engine.answers("fsck", fsck=Report(1, 2, 1, 0, 45_600_000, problems))
    done = tiffin("system", "fsck", *options)
    first, *told, verdict = done.out.splitlines()
    assert first == "Checked 1 blob and 2 layers (45.6MB), 1 image, 0 containers"
    assert told == [f"  {each.what}" + (f"; {each.outcome}" if each.outcome else "") for each in problems]
    assert (done.status, verdict) == (status, last)
    done = tiffin("system", "fsck", "--format", "{{len .Problems}} {{.Layers}}", *options)
    assert (done.status, done.out) == (status, f"{len(problems)} 2\n")

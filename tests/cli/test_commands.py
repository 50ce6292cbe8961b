"""What each command asks of the engine, and what it prints."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from tiffin.build.entitlements import Entitlements
from tiffin.container.mounts import VolumeMount
from tiffin.engine.building.request import BuildRequest, BuildResult
from tiffin.engine.building.steprequest import StepRequest
from tiffin.engine.cachelimit import Bounds
from tiffin.engine.packing import Compression, PushOptions
from tiffin.engine.request import Client
from tiffin.errors import ConflictError, NotFoundError
from tiffin.events import StepDone, StepStarted
from tiffin.network.resolver import ExtraHost
from tiffin.oci.descriptor import Descriptor, MediaType
from tiffin.oci.digest import Digest
from tiffin.oci.reference import Reference
from tiffin.oci.runtimespec import CPU, Memory, Resources, Rlimit

ID = "sha256:" + "a" * 64


def built(*names):
    descriptor = Descriptor(MediaType.OCI_MANIFEST, Digest("sha256:" + "b" * 64), 5)
    return BuildResult(Digest(ID), descriptor, tuple(Reference.parse(name) for name in names), ())


def test_build_asks_for_all_that_was_said(tiffin, engine, tmp_path):
    engine.answers("builds", build=built("finca:latest"))
    result = tiffin(
        *("build", "-t", "finca", "-tfinca:1", "--build-arg", "A=b=c", "--build-arg=HOME", "--label", "k=v"),
        *("-f", "D", "--target", "train", "--no-cache", "--pull", "--build-context", "m=/models", "--load"),
        *("--cache-from", "a/b", "--cache-to", "type=inline", "--cache-to=type=local,dest=c"),
        *("--platform", "linux/amd64", "--network=none", "--provenance=false", "--rm", "--push"),
        *("-o", "out", "--output=type=image,name=a", "--annotation", "index:a=b", str(tmp_path)),
    )
    assert result.status == 0
    (_, request) = engine.calls[-1]
    assert request == BuildRequest(
        context=str(tmp_path),
        dockerfile="D",
        tags=("finca", "finca:1"),
        build_args={"A": "b=c", "HOME": None},
        target="train",
        no_cache=True,
        build_contexts={"m": "/models"},
        platforms=("linux/amd64",),
        provenance="false",
        network="none",
        labels={"k": "v"},
        pull=True,
        cache_from=("a/b",),
        cache_to=("type=inline", "type=local,dest=c"),
        outputs=("out", "type=image,name=a"),
        annotations=("index:a=b",),
        push=True,
        load=True,
    )
    assert result.out == ""
    assert result.err == f"built finca:latest {ID}\n"


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        (("--memory=64m", "--memory-swap=-1"), StepRequest(resources=Resources(memory=Memory(64 << 20, -1)))),
        (
            ("-c", "512", "--cpu-quota=5000", "--cpuset-cpus", "0"),
            StepRequest(resources=Resources(cpu=CPU(512, 5000, cpus="0"))),
        ),
        (("--memory=0", "--cpu-shares=0", "--cpuset-mems="), StepRequest()),
        (("--ulimit", "core=0"), StepRequest(rlimits=(Rlimit("RLIMIT_CORE", 0, 0),))),
        (("--shm-size=1m", "--cgroup-parent", "ci"), StepRequest(shm_size=1 << 20, cgroup_parent="ci")),
        (("--allow", "network.host"), StepRequest(allow=Entitlements(frozenset({"network.host"})))),
        (("--add-host", "db:10.0.0.1"), StepRequest(hosts=(ExtraHost("db", "10.0.0.1"),))),
    ],
)
def test_steps_get_what_was_said(tiffin, engine, words, asked):
    engine.answers("builds", build=built())
    assert tiffin("build", *words, ".").status == 0
    assert engine.calls[-1][1].steps == asked


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--memory=much",), 'invalid argument "much" for "--memory" flag: a size like 64m or 1g is needed'),
        (("--memory-swap=1g",), "--memory-swap is memory and swap together, and needs --memory"),
        (("--cpuset-cpus", "a"), "--cpuset-cpus a: it is a list such as 0-3 or 0,2"),
        (("--ulimit", "x=1"), "there is no limit called 'x'"),
        (("--debug-shell",), "--debug-shell needs a terminal"),
    ],
)
def test_what_steps_cannot_have_ends_a_build_as_any_wrong_word(tiffin, engine, words, said):
    engine.answers("builds", build=built())
    result = tiffin("build", *words, ".")
    assert (result.status, said in result.err) == (1, True), result.err


def test_why_is_asked_for_by_name_and_by_programs(tiffin, engine):
    engine.answers("builds", build=built())
    asked = []
    for words in (("--why",), ("--progress=rawjson",), ("--progress=plain",)):
        tiffin("build", *words, ".")
        asked.append(engine.calls[-1][1].why)
    assert asked == [True, True, False]


def test_stages_to_build_anew(tiffin, engine):
    engine.answers("builds", build=built())
    tiffin("build", "--no-cache-filter", "a,b", "--no-cache-filter=c", ".")
    assert engine.calls[-1][1].no_cache_filter == ("a", "b", "c")
    result = tiffin("build", "--no-cache-filter", "a", "--no-cache", ".")
    assert (result.status, "--no-cache runs all stages again" in result.err) == (1, True)


def test_build_shows_progress_and_quiet_prints_the_id_alone(tiffin, engine):
    def build(_request):
        engine.emit(StepStarted("s", "FROM base", "build 1/1"))
        engine.emit(StepDone("s", "cached"))
        return built()

    engine.answers("builds", build=build)
    result = tiffin("build", ".")
    assert result.err == f"#1 [build 1/1] FROM base\n#1 CACHED\n\nbuilt {ID}\n"
    result = tiffin("build", "-q", ".")
    assert (result.out, result.err) == (ID + "\n", "")
    lines = tiffin("build", "--progress=rawjson", ".").err.splitlines()
    assert [json.loads(line)["event"] for line in lines] == ["started", "done"]


def test_the_environment_may_choose_the_progress_and_the_flag_wins(tiffin, engine, monkeypatch):
    engine.answers("builds", build=built())
    monkeypatch.setenv("BUILDKIT_PROGRESS", "rawjson")
    assert tiffin("build", ".").err == ""
    assert tiffin("build", "--progress=plain", ".").err != ""
    monkeypatch.setenv("TIFFIN_PROGRESS", "loud")
    assert "TIFFIN_PROGRESS is 'loud'" in tiffin("build", ".").err
    monkeypatch.delenv("TIFFIN_PROGRESS")
    monkeypatch.setenv("BUILDKIT_PROGRESS", "louder")
    assert "BUILDKIT_PROGRESS is 'louder'" in tiffin("build", ".").err


def test_build_from_standard_input_and_from_elsewhere(tiffin, engine, tmp_path):
    engine.answers("builds", build=built())

    def asked(*words):
        assert tiffin("build", *words).status == 0
        return engine.calls[-1][1].context, engine.calls[-1][1].dockerfile

    assert asked("-") == ("-", None)
    assert asked("-f", "D", "-") == ("-", "D")
    assert asked("-f", "-", str(tmp_path)) == (str(tmp_path), "-")
    for place in ("https://github.com/x/y.git#main:d", "git@github.com:x/y", "git://x", "github.com/x/y"):
        assert asked(place) == (place, None)


@pytest.mark.parametrize(
    "flag",
    ["--squash", "--builder=other", "--policy=p", "--resource=r", "--isolation=hyperv", "--security-opt=s"],
)
def test_build_refuses_what_it_does_not_do(tiffin, engine, flag):
    engine.answers("builds", build=built())
    result = tiffin("build", flag, ".")
    assert result.status == 1
    assert "is not supported: " in result.err
    assert not [call for call in engine.calls if call[0] == "build"]


def test_build_writes_metadata_and_removes_an_old_id_first(tiffin, engine, tmp_path):
    old, metadata = tmp_path / "id", tmp_path / "meta.json"
    old.write_text("old")
    engine.answers("builds", build=NotFoundError("no base"))
    assert tiffin("build", "--iidfile", str(old), ".").status == 1
    assert not old.exists()
    engine.answers("builds", build=built())
    assert tiffin("build", "--iidfile", str(old), "--metadata-file", str(metadata), ".").status == 0
    assert engine.calls[-1][1].iidfile == old
    assert json.loads(metadata.read_text()) == {
        "containerimage.config.digest": ID,
        "containerimage.descriptor": {
            "digest": "sha256:" + "b" * 64,
            "mediaType": MediaType.OCI_MANIFEST,
            "size": 5,
        },
        "containerimage.digest": "sha256:" + "b" * 64,
    }
    engine.answers("builds", build=built("finca:1", "localhost:5000/x:2"))
    assert tiffin("build", "--metadata-file", str(metadata), ".").status == 0
    names = json.loads(metadata.read_text())["image.name"]
    assert names == "docker.io/library/finca:1,localhost:5000/x:2"


def test_where_only_files_come_out_no_image_is_spoken_of(tiffin, engine, tmp_path):
    engine.answers("builds", build=built()._replace(kept=False))
    result = tiffin("build", "-o", "out", "--metadata-file", str(tmp_path / "meta.json"), ".")
    assert (result.status, result.out, result.err) == (0, "", "")
    assert json.loads((tmp_path / "meta.json").read_text()) == {}
    assert tiffin("build", "-q", "-o", "-", ".").out == ""


def test_an_id_is_not_printed_behind_an_archive(tiffin, engine):
    engine.answers("builds", build=built())
    result = tiffin("build", "-q", "-o", "type=docker,dest=-", ".")
    assert result.status == 1
    assert "standard output too" in result.err
    assert not [call for call in engine.calls if call[0] == "build"]


def test_run_asks_for_all_that_was_said(tiffin, engine, tmp_path):
    engine.answers("running", run=lambda _request, announce: 0)
    result = tiffin(
        *(
            "run",
            "-dit",
            "--rm",
            "--name",
            "serving",
            "-p8000:8000",
            "-p",
            "127.0.0.1:81:80/udp",
            "-P",
            "-eA=b",
        ),
        *("-e", "HOME", "--env-file", "vars", "-v", "/a:/b:ro", "-w", "/app", "-u1000:1000", "--entrypoint="),
        *(
            "--network",
            "none",
            "-h",
            "box",
            "-l",
            "k=v",
            "--read-only",
            "--shm-size",
            "64m",
            "--tmpfs",
        ),
        *(
            "/tmp:size=1m",
            "--cap-add=NET_ADMIN",
            "--cap-drop=ALL",
            "--add-host",
            "db:10.0.0.1",
            "--dns",
            "1.1.1.1",
            "--dns-search=lan",
            "--dns-option=ndots:1",
            "--expose=90",
            "--mac-address=02:00:00:00:00:01",
        ),
        *("--stop-signal", "INT", "--stop-timeout", "3", "--pull=never", "--platform", "linux/amd64"),
        *(
            "--domainname=inside",
            "--health-cmd",
            "ok",
            "--health-retries=2",
            "--restart",
            "always",
            "--log-opt=max-size=1m",
            "--init",
        ),
        *("--privileged", "--uts=host", "--security-opt", "unmask=ALL", "--sysctl=net.a=1", "--group-add=5"),
        *("-m", "1g", "--cpus=1.5", "--ulimit", "nofile=5", "--ulimit", "core=0"),
        *(
            "--gpus",
            "2",
            "--device",
            "acme.com/x=1",
            "--device=/dev/x:r",
            "--label-file=labels",
            "--annotation",
            "a=b=c",
            "--pidfile=/run/serving.pid",
        ),
        *("--volumes-from", "db:ro", "--volumes-from=cache", "--runtime", "crun"),
        *("--mount", f"type=bind,src={tmp_path},dst=/m,readonly", "image", "cmd", "-x", "--rm", "--", "-p1"),
    )
    assert result.status == 0, result.err
    request = engine.calls[-1][1]
    assert request == SimpleNamespace(
        image="image",
        command=("cmd", "-x", "--rm", "--", "-p1"),
        name="serving",
        detach=True,
        rm=True,
        interactive=True,
        tty=True,
        publish=("8000:8000", "127.0.0.1:81:80/udp"),
        publish_all=True,
        env=("A=b", "HOME"),
        env_files=(Path("vars"),),
        volumes=("/a:/b:ro",),
        mounts=(VolumeMount("bind", str(tmp_path), "/m", read_only=True),),
        volumes_from=("db:ro", "cache"),
        tmpfs=("/tmp:size=1m",),
        workdir="/app",
        user="1000:1000",
        entrypoint="",
        network="none",
        networks=(),
        network_aliases=(),
        ip="",
        ip6="",
        domainname="inside",
        hostname="box",
        labels=(("k", "v"),),
        read_only=True,
        shm_size=64 * 1024 * 1024,
        cap_add=("NET_ADMIN",),
        cap_drop=("ALL",),
        add_hosts=("db:10.0.0.1",),
        dns=("1.1.1.1",),
        dns_search=("lan",),
        dns_options=("ndots:1",),
        expose=("90",),
        mac_address="02:00:00:00:00:01",
        stop_signal="INT",
        stop_timeout=3,
        restart="always",
        health=(("cmd", "ok"), ("retries", "2")),
        init=True,
        pidfile="/run/serving.pid",
        log_driver="",
        log_options=("max-size=1m",),
        security=(
            *(("privileged", ""), ("uts", "host"), ("group-add", "5")),
            *(("security-opt", "unmask=ALL"), ("sysctl", "net.a=1")),
        ),
        limits=(("cpus", "1.5"), ("memory", "1g"), ("ulimit", "nofile=5"), ("ulimit", "core=0")),
        gpus="2",
        client=Client(),
        cdi_devices=("acme.com/x=1",),
        devices=("/dev/x:r",),
        label_files=(Path("labels"),),
        annotations=(("a", "b=c"),),
        runtime="crun",
        pull="never",
        platform="linux/amd64",
    )


def test_run_passes_on_the_status_and_prints_the_id_only_if_detached(tiffin, engine, tmp_path):
    def run(_request, announce):
        announce("c" * 64)
        return 42

    engine.answers("running", run=run)
    cidfile = tmp_path / "cid"
    result = tiffin("run", "--cidfile", str(cidfile), "image")
    assert (result.status, result.out) == (42, "")
    assert cidfile.read_text() == "c" * 64
    assert tiffin("run", "-d", "image").out == "c" * 64 + "\n"
    result = tiffin("run", "--cidfile", str(cidfile), "image")
    assert result.status == 125
    assert "the file exists" in result.err


def test_run_it_needs_a_terminal(tiffin, engine, stdin):
    engine.answers("running", run=lambda _request, announce: 0)
    engine.answers("containers", exec_=0)
    stdin()
    result = tiffin("run", "-it", "image")
    assert (result.status, "the input device is not a TTY" in result.err) == (1, True)
    assert tiffin("exec", "-it", "c", "sh").status == 1
    assert tiffin("run", "-t", "image").status == 0
    assert tiffin("run", "-dit", "image").status == 0
    stdin(terminal=True)
    assert tiffin("run", "-it", "image").status == 0


@pytest.mark.parametrize(
    "words",
    [
        ["--kernel-memory", "1g"], ["--storage-opt", "size=1g"], ["--wait"],
        ["-d", "--wait-timeout=5"], ["-d", "-a", "stdout"], ["-a", "out"],
        ["--shm-size", "big"], ["--mount=type=npipe,target=/x"], ["--mount=type=bind,src=/nope,target=/x"],
        ["--pull=sometimes"],
    ],
)  # fmt: skip
def test_run_refuses_what_it_does_not_do(tiffin, engine, words):
    engine.answers("running", run=lambda _request, announce: 0)
    result = tiffin("run", *words, "image")
    assert result.status == 125
    assert result.err.startswith("error: ")
    assert not [call for call in engine.calls if call[0] == "run"]


@pytest.mark.parametrize(
    "words",
    [
        ["--privileged=false"],
        ["--restart=no"],
        ["--security-opt=no-new-privileges"],
        ["--disable-content-trust"],
    ],
)
def test_run_accepts_what_is_so_anyhow(tiffin, engine, words):
    engine.answers("running", run=lambda _request, announce: 0)
    assert tiffin("run", *words, "image").status == 0


def test_a_health_check_is_needed_only_where_that_is_asked_for(tiffin, engine):
    engine.answers("running", run=lambda _request, announce: 0)
    for word, health in (("--wait-healthy", (("required", ""),)), ("--wait-healthy=false", ())):
        tiffin("run", "-d", word, "image")
        assert engine.calls[-1][1].health == health


def test_exec_asks_and_passes_on_the_status(tiffin, engine):
    engine.answers("containers", exec_=7)
    result = tiffin("exec", "-e", "A=b", "-u", "root", "-w", "/", "-d", "serving", "ls", "-l", "--all")
    assert result.status == 7
    assert engine.calls[-1] == (
        "exec_",
        "serving",
        SimpleNamespace(
            command=("ls", "-l", "--all"),
            detach=True,
            interactive=False,
            tty=False,
            env=("A=b",),
            env_files=(),
            user="root",
            workdir="/",
            privileged=False,
            keys=b"",
        ),
    )
    engine.answers("containers", exec_=NotFoundError("no container"))
    assert tiffin("exec", "x", "y").status == 125


def test_verbs_over_several_names_do_all_and_fail_at_the_end(tiffin, engine):
    def act(names, *_arguments, **_options):
        if names == ["nosuch"]:
            raise NotFoundError("there is no container named nosuch")
        if names == ["busy"]:
            raise ConflictError("busy is running")

    engine.answers("containers", stop=act, kill=act, rm=act)
    for verb in ("stop", "kill", "rm"):
        result = tiffin(verb, "a", "nosuch", "busy", "b")
        assert (result.status, result.out) == (1, "a\nb\n")
        assert result.err.splitlines() == [
            "error: there is no container named nosuch",
            "error: busy is running",
        ]


def test_stop_kill_rm_and_wait_hand_their_options_on(tiffin, engine):
    engine.answers("containers", stop=None, kill=None, rm=None)
    engine.answers("awaiting", wait=[3])
    tiffin("stop", "-t", "3", "a")
    tiffin("stop", "-s", "RTMIN+3", "a")
    tiffin("stop", "--time=5", "a")
    tiffin("kill", "-s", "HUP", "a")
    tiffin("kill", "a")
    tiffin("rm", "-fv", "a")
    assert [call for call in engine.calls if call[0] != "settings"] == [
        ("stop", ["a"], 3, None),
        ("stop", ["a"], None, "RTMIN+3"),
        ("stop", ["a"], 5, None),
        ("kill", ["a"], "HUP"),
        ("kill", ["a"], "KILL"),
        ("rm", ["a"], {"force": True, "volumes": True}),
    ]
    assert tiffin("wait", "a", "b").out == "3\n3\n"


def test_rm_by_force_does_not_mind_what_is_gone(tiffin, engine):
    engine.answers("containers", rm=NotFoundError("gone"))
    assert tiffin("rm", "-f", "x").status == 0
    assert tiffin("rm", "x").status == 1


def test_start_attached_passes_on_the_status(tiffin, engine):
    engine.answers("running", start=9)
    assert tiffin("start", "-a", "x").status == 9
    assert engine.calls[-1] == ("start", ("x",), {"client": Client(), "interactive": False})
    result = tiffin("start", "x", "y")
    assert (result.status, result.out) == (0, "x\ny\n")
    assert tiffin("start", "-i", "x", "y").status == 1


def test_logs_go_to_the_stream_that_they_came_from(engine, capfdbinary, monkeypatch):
    from tiffin.cli.main import main

    monkeypatch.setattr("time.time", lambda: 1000.0)
    engine.answers("logs", logs=[(1, b"out \xff\n"), (2, b"err\n")])
    assert (
        main(["logs", "-ft", "--tail=5", "--since", "42m", "--until", "1970-01-01T00:16:00Z", "serving"]) == 0
    )
    captured = capfdbinary.readouterr()
    assert (captured.out, captured.err) == (b"out \xff\n", b"err\n")
    options = {
        "follow": True,
        "tail": 5,
        "timestamps": True,
        "since": (1000 - 42 * 60) * 10**9,
        "until": 960 * 10**9,
    }
    assert engine.calls[-1] == ("logs", "serving", options)


def test_logs_without_options_are_all_there_is(tiffin, engine):
    engine.answers("logs", logs=[])
    assert tiffin("logs", "x").status == 0
    options = {"follow": False, "tail": None, "timestamps": False, "since": None, "until": None}
    assert engine.calls[-1] == ("logs", "x", options)
    assert "a number or all" in tiffin("logs", "--tail=x", "x").err
    assert "a time like 42m" in tiffin("logs", "--since=yesterday", "x").err


def test_rmi_prints_the_lines_of_the_engine(tiffin, engine):
    engine.answers("images", remove=[f"Untagged: {ID}", f"Deleted: {ID}"], tag=None)
    assert tiffin("rmi", "-f", "a").out == f"Untagged: {ID}\nDeleted: {ID}\n"
    assert engine.calls[-1] == ("remove", ["a"], {"force": True})
    assert tiffin("tag", "a", "b:1").status == 0
    assert engine.calls[-1] == ("tag", "a", "b:1")


def test_inspect_finds_a_container_before_an_image(tiffin, engine):
    def only(name, document):
        def find(names, platform=None, **options):
            asked.append(str(platform))
            options and sized.append(name)
            if names != [name]:
                raise NotFoundError(f"there is no {names[0]}")
            return [document]

        return find

    asked, sized = [], []
    engine.answers("containers", inspect=only("c", {"State": {"Pid": 7}}))
    engine.answers("images", inspect=only("i", {"Size": 5}))
    engine.answers("networks", inspect=only("n", {"Driver": "bridge"}))
    engine.answers("volumes", inspect=only("v", {"Mountpoint": "/v"}))
    result = tiffin("inspect", "c", "i", "v")
    assert json.loads(result.out) == [{"State": {"Pid": 7}}, {"Size": 5}, {"Mountpoint": "/v"}]
    assert result.out.startswith('[\n    {\n        "State"')
    assert tiffin("inspect", "-f", "{{.State.Pid}}", "c").out == "7\n"
    assert tiffin("inspect", "--format=json", "i").out == '[{"Size":5}]\n'
    result = tiffin("inspect", "i", "nosuch")
    assert (result.status, json.loads(result.out)) == (1, [{"Size": 5}])
    assert "no container, image, network or volume named nosuch" in result.err
    result = tiffin("inspect", "nosuch")
    assert (result.status, result.out) == (1, "[]\n")
    assert tiffin("inspect", "--type=image", "c").status == 1
    assert tiffin("image", "inspect", "c").status == 1
    assert tiffin("container", "inspect", "c").status == 0
    assert tiffin("volume", "inspect", "-f", "{{.Mountpoint}}", "v").out == "/v\n"
    assert tiffin("network", "inspect", "-f", "{{.Driver}}", "n").out == "bridge\n"
    assert tiffin("image", "inspect", "--platform=aarch64", "i").status == 0
    assert asked[-1] == "linux/arm64"
    assert not sized
    assert tiffin("inspect", "-s", "c", "i").status == 0
    assert tiffin("container", "inspect", "--size", "c").status == 0
    assert sized == ["c", "c", "c"]  # the image was looked for among containers first


def test_inspect_knows_the_nearest_name_of_any_kind(tiffin, engine):
    def nothing(*_names, **_options):
        raise NotFoundError("there is nothing", hint="see the list")

    engine.answers("containers", inspect=nothing)
    engine.answers("images", inspect=NotFoundError("there is no image", hint="did you mean cellar?"))
    engine.answers("networks", inspect=nothing)
    engine.answers("volumes", inspect=nothing)
    assert "did you mean cellar?" in tiffin("inspect", "celar").err


def test_save_writes_a_file_whole_or_not_at_all(tiffin, engine, tmp_path):
    target = tmp_path / "image.tar"

    def save(_names, out, form, _platform):
        out.write(form.encode())

    engine.answers("archives", save=save)
    assert tiffin("save", "-o", str(target), "a", "b").status == 0
    assert target.read_bytes() == b"docker"
    assert tiffin("save", "--format=oci", "--output", str(target), "a").status == 0
    assert target.read_bytes() == b"oci"

    def fail(_names, out, _form, _platform):
        out.write(b"half")
        raise NotFoundError("no image b")

    engine.answers("archives", save=fail)
    assert tiffin("save", "-o", str(target), "a").status == 1
    assert target.read_bytes() == b"oci"
    assert list(tmp_path.iterdir()) == [target]
    assert tiffin("save", "-o", "/dev/null", "a").status == 1
    assert Path("/dev/null").is_char_device()


def test_save_to_standard_output_but_not_to_a_terminal(engine, capfdbinary, monkeypatch):
    from tiffin.cli.main import main

    engine.answers("archives", save=lambda _names, out, _form, _platform: out.write(b"\0tar"))
    assert main(["save", "a"]) == 0
    assert capfdbinary.readouterr().out == b"\0tar"
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert main(["save", "a"]) == 1
    assert b"not for a terminal" in capfdbinary.readouterr().err


def test_load_reads_a_file_or_standard_input(tiffin, engine, tmp_path, stdin):
    engine.answers("archives", load=lambda stream: ["finca:1", ID] if stream.read() == b"tar" else [])
    archive = tmp_path / "a.tar"
    archive.write_bytes(b"tar")
    assert tiffin("load", "-i", str(archive)).out == f"Loaded image: finca:1\nLoaded image ID: {ID}\n"
    stdin(b"tar")
    assert tiffin("load", "-q").out.startswith("Loaded image: finca:1\n")
    stdin(terminal=True)
    assert "that is a terminal" in tiffin("load").err
    result = tiffin("load", "-i", str(tmp_path / "nope"))
    assert (result.status, "nope: no such file" in result.err) == (1, True)


def test_volume_verbs(tiffin, engine):
    engine.answers("volumes", create=lambda name, _labels, _options: name or "f" * 64, remove=None)
    created = tiffin("volume", "create", "--label", "a=b", "-o", "type=tmpfs", "--opt=device=x", "models")
    assert created.out == "models\n"
    assert engine.calls[-1][1:] == ("models", (("a", "b"),), (("type", "tmpfs"), ("device", "x")))
    assert "it must be local" in tiffin("volume", "create", "-d", "nfs").err
    assert tiffin("volume", "create").out == "f" * 64 + "\n"
    assert tiffin("volume", "rm", "a", "b").out == "a\nb\n"
    engine.answers("volumes", remove=NotFoundError("gone"))
    assert tiffin("volume", "rm", "-f", "a").status == 0
    assert tiffin("volume", "rm", "a").status == 1


def pruned():
    return SimpleNamespace(
        containers=("1" * 64,), images=("untagged: a:1", f"deleted: {ID}"), volumes=(), cache=("abc",),
        reclaimed=370_370_370,
        networks=("web",),
    )  # fmt: skip


def test_prune_prints_what_docker_prints(tiffin, engine):
    engine.answers("prune", prune=pruned())
    assert tiffin("system", "prune", "-f").out == (
        f"Deleted Containers:\n{'1' * 64}\n\nDeleted Networks:\nweb\n\n"
        f"Deleted Images:\nuntagged: a:1\ndeleted: {ID}\n\n"
        "Deleted build cache objects:\nabc\n\nTotal reclaimed space: 370.4MB\n"
    )


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        ("system prune", {"containers": True, "networks": True, "images": "dangling", "cache": "unused"}),
        (
            "system prune -a --volumes",
            {"containers": True, "networks": True, "images": "all", "cache": "all", "volumes": "anonymous"},
        ),
        ("image prune", {"images": "dangling"}),
        ("image prune -a", {"images": "all"}),
        ("container prune", {"containers": True}),
        ("volume prune", {"volumes": "anonymous"}),
        ("volume prune -a", {"volumes": "all"}),
        ("volume prune --filter all=1", {"volumes": "all"}),
        ("volume prune --filter all=false --filter label=a", {"volumes": "anonymous", "labels": ("a",)}),
        ("builder prune", {"cache": "unused"}),
        ("builder prune -a", {"cache": "all"}),
        ("builder prune --keep-storage 1g", {"cache": "unused", "bounds": Bounds(least=1 << 30)}),
        (
            "builder prune -a --max-used-space 2g --min-free-space 1g --reserved-space 5m",
            {"cache": "all", "bounds": Bounds(2 << 30, 5 << 20, 1 << 30)},
        ),
        ("image prune --filter label=a --filter label!=b", {"images": "dangling", "labels": ("a",)}),
    ],
)
def test_prune_removes_only_what_was_said(tiffin, engine, words, asked):
    engine.answers("prune", prune=pruned())
    assert tiffin(*words.split(), "-f").status == 0
    usual = {"containers": False, "networks": False, "images": "none", "volumes": "none", "cache": "none"}
    usual |= {"until": None, "bounds": None, "labels": (), "not_labels": ("b",) if "label!" in words else ()}
    assert vars(engine.calls[-1][1]) == {**usual, **asked}


def test_prune_refuses_a_filter_that_is_neither_true_nor_false(tiffin, engine):
    engine.answers("prune", prune=pruned())
    refused = tiffin("volume", "prune", "-f", "--filter", "all=yes")
    assert (refused.status, engine.calls) == (1, [])
    assert "invalid filter 'all=yes': true or false is needed" in refused.err


def test_builder_prune_refuses_labels_which_no_cache_has(tiffin, engine):
    engine.answers("prune", prune=pruned())
    refused = tiffin("builder", "prune", "-af", "--filter", "label=keep")
    assert (refused.status, engine.calls) == (1, [])
    assert "there is no filter 'label'" in refused.err
    assert tiffin("builder", "prune", "-af", "--filter", "until=24h").status == 0


@pytest.mark.parametrize(
    ("answer", "does"), [(b"y\n", True), (b"Y\n", True), (b"n\n", False), (b"\n", False), (b"", False)]
)
def test_prune_asks_first(tiffin, engine, stdin, answer, does):
    engine.answers("prune", prune=pruned())
    stdin(answer)
    result = tiffin("system", "prune")
    assert result.status == 0
    assert result.out.startswith("WARNING! This will remove:\n  - all stopped containers\n")
    assert "Are you sure you want to continue? [y/N] " in result.out
    assert bool([call for call in engine.calls if call[0] == "prune"]) is does


def test_pull_and_push(tiffin, engine):
    engine.answers("transfers", pull=None, push=None)
    assert tiffin("pull", "python:3.11.8-slim").out == "docker.io/library/python:3.11.8-slim\n"
    assert engine.calls[-1] == ("pull", "python:3.11.8-slim", None)
    tiffin("pull", "-q", "--platform", "linux/arm64", "python")
    assert engine.calls[-1] == ("pull", "python", "linux/arm64")
    assert tiffin("push", "-q", "r.example/x:1").out == "r.example/x:1\n"
    assert engine.calls[-1] == ("push", "r.example/x:1", PushOptions())
    assert tiffin("push", "--platform", "arm64", "--split-layers", "r.example/x:1").status == 0
    options = engine.calls[-1][-1]
    assert (str(options.platform), options.split, options.compression) == ("linux/arm64", True, None)


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (("--compression", "zstd:9"), Compression("zstd", 9)),
        (("--compression=gzip", "--force-compression"), Compression("gzip", None, force=True)),
        (("--compression", "none"), Compression("none")),
    ],
)
def test_how_layers_are_packed_for_a_push(tiffin, engine, flags, expected):
    engine.answers("transfers", push=None)
    assert tiffin("push", *flags, "r.example/x:1").status == 0
    assert engine.calls[-1][-1].compression == expected


@pytest.mark.parametrize(
    "flags",
    [
        ("--compression", "xz"),
        ("--compression", "zstd:"),
        ("--compression", "zstd:high"),
        ("--compression", "none:1"),
        ("--compression", "gzip:77"),
        ("--force-compression",),
    ],
)
def test_how_layers_cannot_be_packed(tiffin, flags):
    assert tiffin("push", *flags, "r.example/x:1").status == 1


def test_all_tags(tiffin, engine):
    names = [Reference.parse(f"r.example/x:{tag}") for tag in "ab"]
    engine.answers("transfers", pull_all=names, push_all=names)
    assert tiffin("pull", "-a", "r.example/x").out == "r.example/x:a\nr.example/x:b\n"
    assert tiffin("push", "-aq", "r.example/x").out == "r.example/x:a\nr.example/x:b\n"
    assert tiffin("push", "--all-tags", "r.example/x").out == ""


def test_login_takes_the_password_from_where_it_is_said(engine, tiffin, stdin):
    seen = []
    engine.module(
        "tiffin.engine.transfers",
        login=lambda _settings, *what: seen.append(what),
        logout=lambda _settings, server: server == "r.example",
    )
    stdin(b"s3cret\n")
    result = tiffin("login", "-u", "finca", "--password-stdin", "r.example")
    assert (result.status, result.out) == (0, "Login Succeeded\n")
    assert tiffin("login", "-ufinca", "-ptoken").status == 0
    assert seen == [("r.example", "finca", "s3cret"), ("docker.io", "finca", "token")]
    assert "--password-stdin" in tiffin("login", "-ufinca", "-ptoken").err
    assert tiffin("login", "--password-stdin").status == 1
    assert tiffin("login", "-u", "x", "-p", "y", "--password-stdin").status == 1
    stdin()
    assert "standard input is no terminal" in tiffin("login", "r.example").err
    assert tiffin("logout", "r.example").out == "Removed the credentials for r.example\n"
    assert tiffin("logout").out == "Not logged in to docker.io\n"


def test_base_asks_for_all_that_was_said(tiffin, engine):
    orders = []
    engine.module(
        "tiffin.base.order",
        BaseOrder=SimpleNamespace,
        make_base=lambda _engine, order: orders.append(order) or SimpleNamespace(image_id=ID),
    )
    names = ("-t", "finca-base", "-t", "b:1")
    words = ("--flavour", "build", "--python", "--include", "curl", "--include", "git,make", "--offline")
    assert (
        tiffin("base", "trixie", *names, *words, "--lock", "base.lock").err == f"made finca-base b:1 {ID}\n"
    )
    assert vars(orders[0]) == {
        "suite": "trixie",
        "tags": ("finca-base", "b:1"),
        "flavour": "build",
        "python": True,
        "include": ("curl", "git", "make"),
        "lock": Path("base.lock"),
        "mirrors": (),
        "keyring": None,
        "offline": True,
    }
    assert tiffin("base", "-q", "-t", "x").out == ID + "\n"
    assert orders[1].suite == ""
    assert "-t NAME" in tiffin("base").err


def test_info_counts_and_names(tiffin, engine):
    engine.answers("images", list_images=[1, 2])
    engine.answers(
        "containers", ps=[SimpleNamespace(state=state) for state in ("running", "exited", "created")]
    )
    facts = {"CgroupVersion": "2", "LoggingDriver": "json-file", "SecurityOptions": ["a", "b"]}
    facts |= {"Runtimes": {"tiffin": {}, "crun": {}}, "DefaultRuntime": "tiffin", "MemoryLimit": True}
    engine.answers("hostinfo", host_facts=facts)
    text = tiffin("info").out
    assert (
        "Containers: 3\n Running: 1\n Stopped: 2\nImages: 2\nStore: /var/lib/tiffin\nIsolation: root\n"
        in text
    )
    assert "\nRuntimes: tiffin, crun\nDefault Runtime: tiffin\nSecurity Options: a, b\n" in text
    assert tiffin("info", "-f", "{{.Containers}} {{.DockerRootDir}}").out == "3 /var/lib/tiffin\n"
    form = "{{range $name, $one := .Runtimes}}{{$name}} {{end}}{{.MemoryLimit}} "
    form += "{{.OSType}} {{.ClientInfo.Context}}"
    assert tiffin("system", "info", "-f", form).out == "crun tiffin true linux default\n"
    assert json.loads(tiffin("info", "--format", "json").out)["Images"] == 2


def test_doctor_gives_the_verdict_first(tiffin, engine):
    checks = (
        SimpleNamespace(name="user namespaces", ok=True, found="allowed", remedy=""),
        SimpleNamespace(name="pasta", ok=False, found="not installed", remedy="apt install passt"),
    )
    report = SimpleNamespace(
        checks=checks, rung="rootless", reasons=("not root, and subordinate ids are there",)
    )
    engine.module("tiffin.engine.doctor", examine=lambda _settings: report)
    result = tiffin("doctor")
    assert result.status == 0
    assert result.out.splitlines() == [
        "Containers run here, isolated on the rung: rootless",
        "  not root, and subordinate ids are there",
        "",
        "ok        user namespaces   allowed",
        "no        pasta             not installed",
        "",
        "What would help:",
        "  pasta: apt install passt",
    ]
    assert tiffin("doctor", "--format", "{{.Rung}}").out == "rootless\n"
    report.rung = None
    assert tiffin("doctor").status == 1

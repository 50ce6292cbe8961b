"""Docker, skopeo and umoci beside us: what one has made the other takes, and a Dockerfile gives the same."""

import json
import re
import shutil
import subprocess
import tarfile

import pytest
from tests.doubles.web import Page, Repository, WebDouble
from tests.live import cases, test_registry, trees

pytestmark = pytest.mark.live

# What a container sees of its image: identity, place, environment, arguments.
TELL = 'echo "$(id -u):$(id -g) $PWD $HOME [$WINE] $0 $*"; cat /said; ls -ln /owned'
TOLD = """\
FROM {base}
ENV WINE="rioja tinto"
RUN mkdir -p /home/anna && chown anna:wine /home/anna && echo made > /said
COPY --chown=anna:wine tell /owned/
COPY tell /bin/tell
LABEL org.example.a="b c"
EXPOSE 8000 53/udp
VOLUME /data
STOPSIGNAL SIGINT
HEALTHCHECK --interval=5s --retries=2 CMD ["true"]
WORKDIR /home/anna
USER anna
ENTRYPOINT ["tell", "first"]
CMD ["second", "third word"]
"""


@pytest.fixture(scope="session")
def base(tiffin, busybox, docker):
    """An image that both have, byte for byte."""
    place = tiffin.home / "base"
    # Docker leaves the points of its own mounts in images that lack them.
    for name in ("dev", "proc", "sys"):
        (place / "points" / name).mkdir(parents=True)
    cases.write(place, {"Dockerfile": f"FROM {busybox}\nCOPY points /\n"})
    tiffin("build", "-q", "-t", "base", place)
    docker("load", "-i", save(tiffin, "base", place / "base.tar"))
    return "base"


def save(engine, name, archive):
    engine("save", "-o", archive, name)
    cases.own(archive)
    return archive


def told(folder, base):
    """The folder of an image that tells what it sees."""
    cases.write(folder, {"Dockerfile": TOLD.format(base=base), "tell": f"#!/bin/sh\n{TELL}\n"})
    (folder / "tell").chmod(0o755)
    return folder


def config_of(engine, name):
    return json.loads(engine("inspect", name).stdout)[0]["Config"]


def relevant(config):
    """A config without what says nothing: a builder's leftovers, and nothing spelled as empty."""
    noise = {"Hostname", "Domainname", "Image", "AttachStdin", "AttachStdout", "AttachStderr"}
    noise |= {"OpenStdin", "StdinOnce", "Tty", "ArgsEscaped"}
    return {key: value for key, value in config.items() if value and key not in noise}


def test_docker_runs_what_tiffin_built_as_tiffin_does(tiffin, base, docker, folder):
    tiffin("build", "-q", "-t", "told", told(folder, base))
    docker("load", "-i", save(tiffin, "told", folder / "told.tar"))
    for arguments in ([], ["other"]):
        theirs = docker.run("told", *arguments).stdout
        assert tiffin("run", "--rm", "told", *arguments).stdout == theirs
        assert theirs.startswith("1000:1000 /home/anna /home/anna [rioja tinto] /bin/tell first")
        assert theirs.splitlines()[0].endswith(" ".join(["first", *(arguments or ["second", "third word"])]))
    for shown in (
        tiffin("run", "--rm", "-u", "0", "-w", "/bin", "told"),
        docker.run("-u", "0", "-w", "/bin", "told"),
    ):
        assert shown.stdout.startswith("0:0 /bin /root")
    assert relevant(config_of(docker, "told")) == relevant(config_of(tiffin, "told"))
    ids = [json.loads(engine("inspect", "told").stdout)[0]["Id"] for engine in (docker, tiffin)]
    assert ids[0] == ids[1]


@pytest.mark.parametrize("buildkit", [False, True], ids=["classic", "buildkit"])
def test_tiffin_runs_what_docker_built_as_docker_does(tiffin, base, docker, folder, buildkit):
    docker.build(told(folder, base), "docker-told", buildkit=buildkit)
    archive = save(docker, "docker-told", folder / "docker-told.tar")
    assert tiffin("load", "-i", archive).stdout == "Loaded image: docker-told:latest\n"
    for arguments in ([], ["other"]):
        theirs = docker.run("docker-told", *arguments).stdout
        assert tiffin("run", "--rm", "docker-told", *arguments).stdout == theirs
        assert theirs.startswith("1000:1000 ")
    assert relevant(config_of(tiffin, "docker-told")) == relevant(config_of(docker, "docker-told"))
    # And what was loaded can be saved for Docker again, and built upon.
    docker("image", "rm", "-f", "docker-told")
    docker("load", "-i", save(tiffin, "docker-told", folder / "again.tar"))
    assert docker.run("docker-told").stdout == tiffin("run", "--rm", "docker-told").stdout
    cases.write(folder, {"next/Dockerfile": "FROM docker-told\nUSER root\nRUN echo more >> /said\n"})
    tiffin("build", "-q", "-t", "next", folder / "next")
    assert "made\nmore\n" in tiffin("run", "--rm", "next").stdout


def test_an_archive_through_a_pipe(tiffin, base, docker, folder):
    archive = folder / "pipe.tar"
    archive.write_bytes(tiffin("save", base, text=False).stdout)
    with archive.open("rb") as stream:
        assert docker("load", stdin=stream).stdout == f"Loaded image: {base}:latest\n"
    saved = save(docker, base, folder / "docker.tar")
    subprocess.run(["gzip", "-k", saved], check=True)
    with (folder / "docker.tar.gz").open("rb") as stream:
        assert tiffin("load", stdin=stream).stdout == f"Loaded image: {base}:latest\n"


INSPECTED = """\
FROM {base}
ENV A=1
LABEL l=1
EXPOSE 80 53/udp
VOLUME /data
USER 7:8
WORKDIR /w
HEALTHCHECK --interval=100s --retries=2 CMD ["true"]
STOPSIGNAL INT
ENTRYPOINT ["/bin/busybox"]
CMD ["sleep", "1000"]
"""
ASKED = (
    *("--network", "none", "--hostname", "hh", "-l", "x=y", "-e", "B=2", "--restart", "on-failure:3"),
    *("--memory", "64m", "--cpus", "0.5", "-v", "vol:/v:ro", "--add-host", "a:1.2.3.4", "--read-only"),
    *("--cap-drop", "CHOWN", "--ulimit", "nofile=1000:2000", "--log-opt", "max-size=1m", "--shm-size", "32m"),
    *("--dns", "10.0.0.1", "--sysctl", "net.ipv4.ip_forward=1", "--expose", "90", "--group-add", "9"),
)
NOTHING = (
    "{{.HostConfig.CapAdd}} {{.HostConfig.Links}} {{.Config.OnBuild}} {{.ExecIDs}}",
    "{{.HostConfig.VolumesFrom}}",
    "{{.HostConfig.PidsLimit}} {{.HostConfig.DeviceRequests}} {{.Config.StopTimeout}}",
    "{{len .HostConfig.CapAdd}}",
    '{{.HostConfig.MemorySwappiness}} {{join .HostConfig.CapAdd ","}} {{.HostConfig.SecurityOpt}}',
    "{{.HostConfig.DeviceCgroupRules}} {{range .ExecIDs}}x{{end}} {{if .ExecIDs}}x{{else}}none{{end}}",
)
ROW = "{{.Names}}|{{.Image}}|{{.Command}}|{{.Ports}}|{{.Networks}}|{{.State}}|{{.LocalVolumes}}"
TEMPLATES = (
    "{{.Name}} {{.Path}} {{.Args}} {{.RestartCount}} {{.Platform}}{{.MountLabel}}{{.AppArmorProfile}}",
    "{{.State.Status}} {{.State.Running}} {{.State.Paused}} {{.State.Restarting}} {{.State.OOMKilled}}",
    "{{.State.ExitCode}}{{.State.Error}} {{.State.FinishedAt}} {{.State.Health.Status}}",
    '{{eq .State.Status "running"}} {{not .State.Running}} {{and .State.Running 1}}',
    "{{len .State.StartedAt | lt 20}}",
    "{{if .State.Running}}up{{else}}down{{end}} {{len .Id}} {{slice .Image 0 7}}",
    "{{.Config.Hostname}} {{.Config.Domainname}} {{.Config.User}} {{.Config.WorkingDir}} {{.Config.Image}}",
    '{{.Config.Labels}} {{index .Config.Labels "x"}} {{.Config.StopSignal}} {{.Config.Tty}}',
    "{{range $k, $v := .Config.Labels}}{{$k}}={{$v}};{{end}}",
    '{{json .Config.Cmd}} {{json .Config.Entrypoint}} {{index .Config.Cmd 0}} {{join .Config.Cmd ","}}',
    "{{json .Config.ExposedPorts}} {{json .Config.Volumes}} {{json .Config.Healthcheck}}",
    "{{json .Config.OnBuild}}",
    '{{range .Config.Env}}{{if eq . "A=1"}}{{println .}}{{end}}{{end}}',
    '{{range .Mounts}}{{if eq .Destination "/v"}}{{json .Type}} {{.Name}} {{.Driver}}{{end}}{{end}}',
    '{{range .Mounts}}{{if eq .Destination "/v"}}{{.Mode}} {{.RW}}{{end}}{{end}}',
    "{{len .Mounts}} {{.HostConfig.Binds}} {{json .HostConfig.PortBindings}}",
    "{{.HostConfig.RestartPolicy.Name}} {{.HostConfig.RestartPolicy.MaximumRetryCount}}",
    "{{json .HostConfig.LogConfig}} {{.HostConfig.NetworkMode}} {{.HostConfig.AutoRemove}}",
    "{{.HostConfig.Memory}} {{.HostConfig.MemorySwap}} {{.HostConfig.NanoCpus}} {{.HostConfig.CpuQuota}}",
    "{{len .HostConfig.CapDrop}} {{json .HostConfig.CapAdd}} {{.HostConfig.Privileged}}",
    "{{json .HostConfig.ExtraHosts}} {{json .HostConfig.Dns}} {{json .HostConfig.DnsSearch}}",
    "{{.HostConfig.ReadonlyRootfs}} {{.HostConfig.ShmSize}} {{.HostConfig.PublishAllPorts}}",
    "{{json .HostConfig.Sysctls}} {{json .HostConfig.GroupAdd}} {{.HostConfig.IpcMode}}",
    "{{range .HostConfig.Ulimits}}{{.Name}}={{.Soft}}:{{.Hard}}{{end}} {{json .HostConfig.Devices}}",
    "{{json .NetworkSettings.Ports}}{{.NetworkSettings.IPAddress}}{{.NetworkSettings.MacAddress}}",
    "{{range $name, $end := .NetworkSettings.Networks}}{{$name}}{{$end.IPAddress}}{{end}}",
    "{{with .GraphDriver}}{{len .Data | lt 0}}{{end}} {{json .ExecIDs}}",
    "{{(index .Config.Env 0) | len | lt 0}}",
    '{{title .Platform}} {{upper .Platform}} {{printf "%s-%d" .Config.Image .RestartCount}}',
    '{{split .Config.Image ":"}}',
)


@pytest.mark.parametrize("tiffin", ["root"], indirect=True)
def test_inspect_says_of_a_container_what_docker_says(tiffin, base, docker, folder):
    cases.write(folder, {"Dockerfile": INSPECTED.format(base=base)})
    tiffin("build", "-q", "-t", "inspected:1", folder)
    docker("load", "-i", save(tiffin, "inspected:1", folder / "inspected.tar"))
    told = []
    # Docker's client knows the types of fields only where one template asks for no more than it knows.
    every = (*TEMPLATES, *NOTHING)
    for engine, asked in ((docker, every), (tiffin, ["\n".join(every)])):
        engine("run", "-d", "--name", "same", *ASKED, "inspected:1")
        try:
            found = "".join(engine("inspect", "--format", one, "same").stdout for one in asked)
            row = engine(
                "ps", "--format", ROW, "--filter", "ancestor=inspected:1", "--filter", "volume=/v"
            ).stdout
            told.append([*found.splitlines(), row])
        finally:
            engine("rm", "-f", "-v", "same")
            engine("volume", "rm", "vol")
    assert [pair for pair in zip(*told, strict=True) if pair[0] != pair[1]] == []


OF_IMAGES = (
    "{{.Config.Cmd}} {{.Config.Labels}} {{.Config.Volumes}} {{.Config.ExposedPorts}} {{.Config.OnBuild}}",
    "{{.Config.User}}|{{.Config.Healthcheck}}|{{.Config.StopSignal}}|{{.Config.Entrypoint}}|{{.Config.Shell}}",
    "{{.Os}}/{{.Architecture}}{{.Parent}} {{.RepoTags}} {{len .RootFS.Layers}} {{.RootFS.Type}} {{.Author}}",
    "{{.Id}} {{.Comment}}",
    '{{join .Config.Entrypoint ","}} {{index .RepoTags 0}} {{range .RepoTags}}{{.}}{{end}}',
)


@pytest.mark.parametrize("tiffin", ["root"], indirect=True)
def test_inspect_says_of_an_image_what_docker_says(tiffin, base, docker, folder):
    cases.write(folder, {"Dockerfile": f'FROM {base}\nENTRYPOINT ["/bin/busybox"]\n'})
    tiffin("build", "-q", "-t", "bare:1", folder)
    docker("load", "-i", save(tiffin, "bare:1", folder / "bare.tar"))
    for form in OF_IMAGES:
        ours, theirs = (
            engine("image", "inspect", "-f", form, "bare:1").stdout for engine in (tiffin, docker)
        )
        assert ours == theirs


@pytest.mark.parametrize("tiffin", ["root"], indirect=True)
def test_info_and_version_are_asked_as_docker_is(tiffin, docker):
    asked = (
        "{{.OSType}} {{.Architecture}} {{.NCPU}} {{.MemTotal}} {{.KernelVersion}} {{.OperatingSystem}}",
        "{{.OSVersion}} {{.Name}} {{.CgroupVersion}} {{.CgroupDriver}} {{.LoggingDriver}} {{.MemoryLimit}}",
        "{{.CPUSet}} {{.PidsLimit}} {{.CPUShares}} {{.IPv4Forwarding}} {{json .Warnings | len}}",
        "{{.Swarm.LocalNodeState}} {{.IndexServerAddress}} {{.ExperimentalBuild}} {{len .Labels}}",
    )
    for form in asked:
        ours, theirs = (engine("info", "--format", form).stdout for engine in (tiffin, docker))
        assert ours.replace(" 2\n", " 4\n") == theirs  # no warnings are an empty list here, and null there
    form = "{{.Server.Os}}/{{.Server.Arch}} {{.Client.Os}} {{.Client.Context}} "
    form += "{{(index .Server.Components 0).Name}}"
    assert tiffin("version", "-f", form).stdout == docker("version", "-f", form).stdout


class Theirs:
    """The trees and configs of Docker's builds: made once for all rungs."""

    made: dict[str, tuple] = {}  # noqa: RUF012  # of the session


@pytest.mark.parametrize("case", cases.CASES, ids=lambda case: case.name)
def test_docker_makes_the_same_of_a_dockerfile(tiffin, base, docker, folder, case):
    place = folder / "context"
    place.mkdir()
    case.prepare(place, base)
    if case.name not in Theirs.made:
        for number, file in enumerate(case.files()):
            docker.build(place, f"{case.name}{number}", "-f", place / file, *case.options)
        archive = save(docker, f"{case.name}{number}", folder / "theirs.tar")
        Theirs.made[case.name] = trees.documents(archive)
    for number, file in enumerate(case.files()):
        tiffin("build", "-q", "-t", f"{case.name}{number}", "-f", place / file, *case.options, place)
    ours, our_layers = trees.documents(save(tiffin, f"{case.name}{number}", folder / "ours.tar"))
    theirs, their_layers = Theirs.made[case.name]
    our_tree, their_tree = trees.tree(our_layers), trees.tree(their_layers)
    differing = [
        f"{path!r}: {our_tree.get(path)}, not {their_tree.get(path)}"
        for path in sorted(our_tree.keys() | their_tree.keys())
        if our_tree.get(path) != their_tree.get(path)
    ]
    assert not differing, "\n".join(differing)
    assert relevant(ours["config"]) == relevant(theirs["config"])
    found, expected = ([line(entry) for entry in image["history"]] for image in (ours, theirs))
    assert found == expected


def line(entry):
    """How a step is told, but for what Dockers later than the packaged one, and tiffin, tell more fully."""
    text = entry["created_by"].removesuffix(" # buildkit")
    word = text.split()[0]
    if word in ("ARG", "EXPOSE", "HEALTHCHECK"):
        return word, True
    # WORKDIR leaves a layer with nothing in it there if there was nothing to make.
    empty = None if word == "WORKDIR" else entry.get("empty_layer", False)
    return re.sub(r" --[a-z]+=\S+", "", text), empty


PUT_OUT = """\
FROM {base}
RUN mkdir -p /d/e && echo made > /d/e/f && ln /d/e/f /d/hard && ln -s /etc/passwd /d/link && rm /etc/group
COPY --chown=1000:2000 --chmod=750 tell /bin/tool
"""


@pytest.mark.parametrize("output", ["type=tar,dest=", ""], ids=["tar", "folder"])
def test_docker_puts_out_the_same_files(tiffin, base, docker, folder, output):
    cases.write(folder, {"Dockerfile": PUT_OUT.format(base=base), "tell": "#!/bin/sh\n"})
    found = []
    for engine, place in ((tiffin, folder / "ours"), (docker, folder / "theirs")):
        network = ["--network", "host"] if engine is docker else []
        engine("build", "-q", *network, "-o", f"{output}{place}", folder)
        if place.is_dir():
            with tarfile.open(f"{place}.tar", "w") as archive:
                archive.add(place, "", filter=anonymous)
            place = place.with_suffix(".tar")  # noqa: PLW2901  # what it came to
        found.append(trees.tree([place.read_bytes()]))
    assert found[0] == found[1]
    shutil.rmtree(folder / "ours", ignore_errors=True)
    shutil.rmtree(folder / "theirs", ignore_errors=True)


def anonymous(info):
    info.uid = info.gid = 0
    return info


def test_docker_loads_what_a_build_puts_out(tiffin, base, docker, folder):
    archive = folder / "told.tar"
    output = f"type=docker,dest={archive},compression=gzip"
    tiffin("build", "-q", "-t", "put-out", "-o", output, told(folder, base))
    cases.own(archive)
    assert "Loaded image: put-out:latest\n" in docker("load", "-i", archive).stdout
    assert docker.run("put-out").stdout.startswith("1000:1000 /home/anna /home/anna [rioja tinto]")


@pytest.mark.parametrize("tiffin", ["root"], indirect=True)
def test_docker_makes_the_same_of_what_is_elsewhere(tiffin, busybox, docker, folder):
    """Files that ADD fetches, and a repository as the context: the packaged Docker knows no more of both."""
    with WebDouble(folder).serve() as web:
        for path, data in {"/f.txt": b"f", "/": b"root", "/a*b": b"odd", "/t.tar": bytes(1024)}.items():
            web.pages[path] = Page(data)
        u = web.url
        text = (
            f"FROM scratch\nCOPY . /c/\nADD {u}/f.txt /a/\nADD {u}/f.txt /b\nADD {u}/ {u}/a*b {u}/t.tar /c/\n"
            f"ADD --chown=5:6 {u}/f.txt /new/deep/\nWORKDIR /w\nADD Dockerfile {u}/f.txt ./\n"
        )
        Repository(folder, "repo").commit({"Dockerfile": text, "dir/f": "f"}, "v1")
        url = f"{web.url}/repo.git#v1"
        docker.build(url, "elsewhere")
        tiffin("build", "-q", "-t", "elsewhere", url)
    ours, theirs = (
        trees.tree(trees.documents(save(engine, "elsewhere", folder / f"{name}.tar"))[1])
        for name, engine in (("ours", tiffin), ("theirs", docker))
    )
    assert ours == theirs


def test_every_rung_makes_the_same_image(tiffin, busybox, folder, first):
    case = next(case for case in cases.CASES if case.name == "workdir")
    case.prepare(folder, busybox)
    made = tiffin("build", "-q", "-f", folder / case.files()[-1], folder, text=False).stdout
    assert first("workdir", made) == made


def skopeo(*arguments):
    return subprocess.run(
        ["skopeo", *map(str, arguments)], check=True, capture_output=True, text=True, timeout=120
    ).stdout


@pytest.mark.parametrize("form", ["docker", "oci"])
def test_skopeo_takes_what_tiffin_saves_and_gives_it_back(tiffin, busybox, folder, form):
    if not shutil.which("skopeo"):
        pytest.skip("skopeo is not installed")
    archive = folder / "saved.tar"
    tiffin("save", "--format", form, "-o", archive, busybox)
    document = json.loads(tiffin("inspect", busybox).stdout)[0]
    source = f"{form}-archive:{archive}"
    shown = json.loads(skopeo("inspect", "--config", source))
    assert shown["rootfs"]["diff_ids"] == document["RootFS"]["Layers"]
    for kind, name in (("docker", "back/docker:1"), ("oci", "back/oci:1")):
        back = folder / f"{kind}.tar"
        skopeo("copy", "--insecure-policy", source, f"{kind}-archive:{back}:{name}")
        cases.own(back)
        loaded = tiffin("load", "-i", back).stdout
        assert name in loaded, loaded
        assert tiffin("run", "--rm", name, "cat", "/etc/group").stdout.startswith("root:")
        assert json.loads(tiffin("inspect", name).stdout)[0]["RootFS"] == document["RootFS"]


def test_umoci_unpacks_what_tiffin_saves_and_gives_it_back(tiffin, busybox, folder):
    if not shutil.which("umoci"):
        pytest.skip("umoci is not installed")
    cases.write(
        folder,
        {"Dockerfile": f"FROM {busybox}\nRUN rm -r /tmp && mkdir /new && echo 1 > /new/f\nUSER anna\n"},
    )
    tiffin("build", "-q", "-t", "for-umoci:1", folder)
    archive, layout, bundle = folder / "saved.tar", folder / "layout", folder / "bundle"
    tiffin("save", "--format", "oci", "-o", archive, "for-umoci:1")
    layout.mkdir()
    subprocess.run(["tar", "-xf", archive, "-C", layout], check=True)
    tags = subprocess.run(
        ["umoci", "list", "--layout", layout], check=True, capture_output=True, text=True
    ).stdout.split()
    (tag,) = tags
    subprocess.run(["umoci", "unpack", "--image", f"{layout}:{tag}", bundle], check=True, capture_output=True)
    assert (bundle / "rootfs/new/f").read_text() == "1\n"
    assert not (bundle / "rootfs/tmp").exists()
    assert json.loads((bundle / "config.json").read_text())["process"]["user"]["uid"] == 1000
    (bundle / "rootfs/new/f").unlink()
    (bundle / "rootfs/added").write_text("by umoci\n")
    subprocess.run(["umoci", "repack", "--image", f"{layout}:back", bundle], check=True, capture_output=True)
    subprocess.run(["umoci", "rm", "--image", f"{layout}:{tag}"], check=True, capture_output=True)
    back = folder / "back.tar"
    with tarfile.open(back, "w") as packed:
        packed.add(layout, ".")
    cases.own(back)
    loaded = tiffin("load", "-i", back).stdout.split()[-1]
    shown = tiffin("run", "--rm", loaded, "sh", "-c", "id -u; cat /added; ls /new | wc -l").stdout
    assert shown == "1000\nby umoci\n0\n"


CHANGES = (
    "echo new > /etc/new; chmod 600 /etc/passwd; mkdir -p /srv/a/b; ln -s nowhere /srv/a/link; rm /bin/yes; "
    "rm /bin/wc; mkdir /bin/wc; touch /bin/wc/in"
)


def test_what_a_container_wrote_reads_as_with_docker(tiffin, base, docker):
    told = []
    for engine in (tiffin, docker):
        engine("run", "--name", "writes", "--network", "none", "-w", "/etc", base, "sh", "-c", CHANGES)
        changes = sorted(engine("diff", "writes").stdout.splitlines())
        engine(
            "commit", "-a", "us", "-m", "tried", "-c", "CMD sleep 9", "-c", "EXPOSE 80", "writes", "written"
        )
        config = json.loads(engine("image", "inspect", "written").stdout)[0]
        missing = engine("port", "writes", "80", check=False).returncode
        absent = engine("cp", "writes:/nothing", "-", check=False).returncode
        stopped = engine("top", "writes", check=False).returncode
        kept = {
            name: config["Config"][name] or None for name in ("Cmd", "WorkingDir", "ExposedPorts", "User")
        }
        told.append((changes, kept, config["Author"], missing, absent, stopped))
        engine("rm", "-f", "writes")
        engine("rmi", "written")
    assert told[0] == told[1]


@pytest.mark.parametrize("tiffin", ["root"], indirect=True)
def test_images_go_to_docker_and_come_back_as_they_are(tiffin, base, docker):
    env = {"DOCKER_HOST": docker.socket}
    tiffin("image", "cp", base, "docker-daemon:carried:1", env=env)
    assert docker("run", "--rm", "--network", "none", "carried:1", "echo", "here").stdout == "here\n"
    tiffin("image", "cp", "docker-daemon:carried:1", "back", env=env)
    ids = {tiffin("inspect", "-f", "{{.Id}}", name).stdout for name in (base, "back")}
    assert len(ids) == 1
    assert docker("inspect", "-f", "{{.Id}}", "carried:1").stdout in ids
    assert "there is no image none" in tiffin("image", "cp", "none", "x", check=False).stderr
    missing = tiffin("image", "cp", "docker-daemon:none", "x", env=env, check=False)
    assert (missing.returncode, "Docker has no image none" in missing.stderr) == (1, True)


@pytest.mark.parametrize("tiffin", ["root"], indirect=True)
def test_docker_pulls_what_tiffin_pushes_and_the_reverse(tiffin, base, docker, tmp_path):
    if test_registry.DAEMON is None:
        pytest.skip("the package docker-registry is not installed")
    process, registry = test_registry.serve(tmp_path / "registry")
    try:
        tiffin("tag", base, f"{registry}/ours:1")
        tiffin("push", "-q", f"{registry}/ours:1")
        docker("pull", "-q", f"{registry}/ours:1")
        told = docker("run", "--rm", "--network", "none", f"{registry}/ours:1", "echo", "here").stdout
        docker("tag", base, f"{registry}/theirs:1")
        docker("push", "-q", f"{registry}/theirs:1")
        tiffin("pull", "-q", f"{registry}/theirs:1")
        assert tiffin("run", "--rm", f"{registry}/theirs:1", "echo", "here").stdout == told == "here\n"
        names = [f"{registry}/{name}:1" for name in ("ours", "theirs")]
        ids = {
            engine("inspect", "-f", "{{.Id}}", name).stdout for name in names for engine in (tiffin, docker)
        }
        assert len(ids) == 1
    finally:
        process.terminate()
        process.wait(10)

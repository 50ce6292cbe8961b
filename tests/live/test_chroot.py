"""Root without mounts and namespaces: the same images as everywhere. `test_pods` has it in a container."""

import json
import os
import signal
import subprocess

import pytest
from tests.live import cases

pytestmark = pytest.mark.live

HERE = pytest.mark.parametrize("tiffin", ["chroot"], indirect=True)
BOTH = pytest.mark.parametrize("tiffin", ["chroot", "traced"], indirect=True)
BESIDE = pytest.mark.parametrize("tiffin", ["root", "chroot", "traced"], indirect=True)

DOCKERFILE = """\
FROM {base} AS made
COPY --chown=anna:wine a /srv/a
RUN mkdir -p /home/anna /empty && chown -R anna:wine /home/anna && chmod 2775 /home/anna && rmdir /empty
RUN rm /srv/a && rm -rf /tmp && mkdir -m 1777 /tmp && echo anna:x >> /etc/group && ln -s /srv /link
RUN --mount=type=cache,target=/cache --mount=type=tmpfs,target=/srv/scratch \\
    --mount=type=secret,id=token,target=/etc/token,uid=1000 --mount=type=bind,source=a,target=/seen \\
    cp /seen /cache/a && (ln /cache/a /linked 2>/dev/null || cp /cache/a /linked) && \\
    stat -c '%a %u' /etc/token > /token && touch /srv/scratch/x
USER anna
RUN echo hello > /home/anna/hello && (sleep 1000 &) && echo >> /etc/resolv.conf 2>/dev/null; true
FROM {base}
RUN --mount=from=made,target=/made cp -a /made/home /made/token /made/linked / && echo > /dev/null
RUN chmod 755 /home /bin/busybox && true >> /home/anna/hello && chown 0:0 /etc/passwd
WORKDIR /work
RUN pwd > here && rm /bin/yes
"""


@BESIDE
def test_the_layers_are_those_of_the_rung_root(tiffin, busybox, folder, first):
    cases.write(folder, {"Dockerfile": DOCKERFILE.format(base=busybox), "a": "content\n", "token": "secret"})
    before = set(os.listdir(tiffin.store / "work")) if (tiffin.store / "work").exists() else set()
    tiffin("build", "-q", "-t", "same", "--secret", f"id=token,src={folder}/token", folder)
    layers = json.loads(tiffin("inspect", "same").stdout)[0]["RootFS"]["Layers"]
    assert layers == json.loads(first("chroot-layers", json.dumps(layers).encode()))
    shown = tiffin(
        "run", "--rm", "same", "sh", "-c", "pwd; cat here /token; ls -ln /home; ls /proc/self /etc"
    )
    assert "/work\n/work\n400 1000\n" in shown.stdout
    assert "1000     2000" in shown.stdout
    assert "token" not in shown.stdout.split()
    assert set(os.listdir(tiffin.store / "work")) <= before  # the store has had other builds, some killed


@HERE
def test_a_step_has_no_rights_over_its_place(tiffin, busybox, folder):
    text = (
        f"FROM {busybox}\n"
        "RUN grep -c . /proc/cpuinfo; head -c 1 /dev/urandom > /dev/null; ls /proc /dev > /listed\n"
        "RUN chroot / true && exit 1; mknod /sda b 8 0 && exit 1; mount -t tmpfs x /tmp && exit 1; true\n"
        "RUN cat /proc/mounts > /mounts; test ! -e /.dockerenv; hostname > /name\n"
        "RUN echo a | cat /dev/stdin > /self; (readlink /proc/self/exe; cat /proc/self/comm) >> /self; "
        'ls /proc/self/fd | wc -l >> /self; test -n "$(cat /proc/self/root/etc/passwd)"; '
        "cat /proc/1/environ && exit 1; ls /proc/1 && exit 1; true\n"
        "USER anna\n"
        "RUN readlink /proc/self/exe > /tmp/exe; echo told > /dev/stderr; echo aloud > /dev/stdout\n"
    )
    cases.write(folder, {"Dockerfile": text})
    done = tiffin("build", "--progress", "plain", "-t", "poor", folder)
    assert "isolated by chroot alone" in done.stderr
    listed = tiffin("run", "--rm", "poor", "cat", "/listed").stdout.split()
    assert {"cpuinfo", "meminfo", "null", "urandom", "shm"} <= set(listed)
    left = tiffin("run", "--rm", "poor", "ls", "-A", "/").stdout.split()
    assert not {"sda", ".tiffin"} & set(left)
    assert tiffin("run", "--rm", "poor", "cat", "/self").stdout == "a\n/bin/busybox\ncat\n3\n"
    assert tiffin("run", "--rm", "poor", "cat", "/tmp/exe").stdout == "/bin/busybox\n"
    assert " told\n" in done.stderr
    assert " aloud\n" in done.stderr


@HERE
def test_who_answers_is_led_out_by_no_link(tiffin, busybox, folder):
    outside = folder / "outside"
    outside.mkdir()
    script = (
        f"mkdir -p {outside}/self/fd && mv /proc /p && ln -s {outside} /proc && ls /proc/self/fd; "
        f"mv /dev/pts /dev/p && ln -s {outside} /dev/pts && : < /dev/ptmx; echo done"
    )
    assert tiffin("run", "--rm", busybox, "sh", "-c", script).stdout.endswith("done\n")
    assert not list(outside.iterdir())


@HERE
def test_a_secret_that_a_step_moves_fails_it(tiffin, busybox, folder):
    text = f"FROM {busybox}\nRUN --mount=type=secret,id=token,target=/token mv /token /kept\n"
    cases.write(folder, {"Dockerfile": text, "token": "secret"})
    done = tiffin("build", "--secret", f"id=token,src={folder}/token", folder, check=False)
    assert done.returncode != 0
    assert "moved or linked what was mounted at /token" in done.stderr


@BOTH
def test_a_container_from_start_to_end(tiffin, busybox, folder):
    nap = f"sleep 9{os.getpid()}"  # as nobody else's on this machine
    script = f"echo begun; ({nap}1 &); echo $PPID > /tmp/parent; cd /tmp; {nap}2"
    name = tiffin("run", "-d", "--name", "served", busybox, "sh", "-c", script).stdout.strip()
    assert tiffin("ps", "-q", "--no-trunc").stdout.strip() == name
    assert tiffin("exec", "served", "sh", "-c", "echo more > /tmp/more; cat /etc/hostname").stdout.strip()
    assert tiffin("exec", "-u", "anna", "served", "id", "-u").stdout == "1000\n"
    assert tiffin("exec", "served", "cat", "/tmp/more").stdout == "more\n"
    assert tiffin("top", "served").stdout.count(nap) == 2
    listed = len(tiffin("exec", "served", "ps").stdout.splitlines())
    assert listed == 4 or (listed > 4 and tiffin.rung == "traced")  # there it sees the others too
    assert "A /tmp/more" in tiffin("diff", "served").stdout
    (folder / "sent").write_text("sent")
    tiffin("cp", folder / "sent", "served:/tmp/sent")
    tiffin("stop", "-t", "0", "served")
    assert tiffin("logs", "served").stdout == "begun\n"
    assert subprocess.run(["pgrep", "-f", f"{nap}[12]"], check=False).returncode == 1
    tiffin("commit", "served", "kept")
    assert tiffin("run", "--rm", "kept", "cat", "/tmp/more", "/tmp/sent").stdout == "more\nsent"
    assert not {"/proc", "/dev", "/sys"} & {line[2:] for line in tiffin("diff", "served").stdout.splitlines()}
    tiffin("rm", "served")


@BOTH
def test_a_volume_is_in_one_container_and_comes_back_from_a_killed_one(tiffin, busybox, folder):
    tiffin("run", "--rm", "-v", "kept:/srv/a", busybox, "sh", "-c", "echo first > /srv/a/x; mv /srv /else")
    assert (tiffin.store / "volumes/kept/data/x").read_text() == "first\n"
    name = tiffin("run", "-d", "--name", "keeper", "-v", "kept:/b", busybox, "sleep", "2222").stdout.strip()
    tiffin("exec", "keeper", "sh", "-c", "echo more >> /b/x")
    done = tiffin("run", "--rm", "-v", "kept:/c", busybox, "true", check=False)
    assert (done.returncode, "in use by the container keeper" in done.stderr) == (125, True), done.stderr
    assert "/b" not in tiffin("diff", "keeper").stdout
    state = json.loads((tiffin.store / "containers" / name / "state.json").read_text())
    os.kill(state["supervisor"][0], signal.SIGKILL)
    assert tiffin("run", "--rm", "-v", "kept:/c", busybox, "cat", "/c/x").stdout == "first\nmore\n"
    tiffin("start", "keeper")
    assert tiffin("exec", "keeper", "cat", "/b/x").stdout == "first\nmore\n"
    tiffin("rm", "-f", "keeper")
    assert (tiffin.store / "volumes/kept/data/x").read_text() == "first\nmore\n"
    tiffin("volume", "rm", "kept")


@HERE
def test_what_is_read_only_is_a_copy(tiffin, busybox, folder):
    cases.write(folder, {"models/a": "weights\n"})
    script = "cat /m/a /a; echo changed > /m/a"
    mounts = ("-v", f"{folder}/models:/m:ro", "-v", f"{folder}/models/a:/a:ro")
    done = tiffin("run", "--rm", *mounts, busybox, "sh", "-c", script)
    assert done.stdout == "weights\nweights\n"
    assert "this is a copy" in done.stderr
    assert (folder / "models/a").read_text() == "weights\n"


@HERE
def test_processes_are_listed_as_far_as_they_are_its_own(tiffin, busybox):
    script = 'sleep 1234 & ps | grep -c "^ *$! "; ls /proc | grep -x -e 1 -e $! -e $$ | wc -l; kill $!'
    assert tiffin("run", "--rm", busybox, "sh", "-c", script).stdout == "1\n2\n"
    script = f"cat /proc/self/stat > /dev/null; stat -c %u /proc/$$; {script}"  # as ps of procps begins
    assert tiffin("run", "--rm", "-u", "1000", busybox, "sh", "-c", script).stdout == "1000\n1\n2\n"


@HERE
def test_a_user_may_listen_on_any_port(tiffin, busybox):
    done = tiffin("run", "--rm", "-u", "1000", busybox, "grep", "CapEff", "/proc/self/status")
    assert int(done.stdout.split()[1], 16) == 1 << 10


@HERE
@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("-v", "/tmp:/x"), "a folder of this machine"),
        (("--mount", "type=bind,src=/tmp,dst=/x"), "a folder of this machine"),
        (("--read-only",), "--read-only"),
        (("--network", "none"), "network none"),
        (("--pid", "host"), "pid"),
        (("--device", "/dev/null"), "devices"),
    ],
)
def test_what_cannot_be_had_is_refused(tiffin, busybox, options, said):
    done = tiffin("run", "--rm", *options, busybox, "true", check=False)
    assert done.returncode == 125
    assert said in done.stderr
    assert "the rung chroot" in done.stderr
    assert "SYS_ADMIN" in done.stderr

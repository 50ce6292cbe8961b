"""Mounts as Docker makes them: what a container sees of them, and with which codes commands end.

What Docker told is in `golden/cli/mounts-docker.txt`: as root, `python -m tests.live.mountcases` asks again.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.live.dockerd import Docker

GOLDEN = Path(__file__).parents[1] / "golden/cli/mounts-docker.txt"
IMAGE = "mounted:1"

DOCKERFILE = """
FROM {base}
RUN mkdir -p /seed/sub && echo a > /seed/a && ln /seed/a /seed/sub/hard && ln -s a /seed/soft && \\
    ln -s /nowhere /seed/dangling && chown -R anna:wine /seed && chmod 2750 /seed && chmod 4755 /seed/a && \\
    ln -s /seed /link && mkdir /anonymous && echo b > /anonymous/b
VOLUME /anonymous
"""
BASE = """
FROM scratch
COPY bin /bin
RUN ["busybox", "sh", "-c", "busybox --install /bin; echo root:x:0:0::/: > /etc/passwd; \\
  echo anna:x:1000:1000::/: >> /etc/passwd; echo wine:x:2000: > /etc/group"]
"""
SEEN = "cd /seed && find . | sort | xargs stat -c '%n %u:%g %a %h %F'"
SIZE = "stat -c %a /x; grep ' /x ' /proc/mounts | grep -o size=64k"
# Options of run, {0} for a folder with the file f, and what the container does.
ALONE = (
    ("-v s1:/seed", SEEN),
    ("-v s2:/link", SEEN),
    ("-v s3:/seed:nocopy", SEEN),
    ("-v s4:/new/folder", "stat -c '%u:%g %a' /new /new/folder"),
    ("-v s1:/seed/sub", SEEN),
    ("-v s5:/seed/a", "true"),
    ("--mount src=s6,dst=/seed,volume-nocopy,readonly", "touch /seed/x; ls /seed"),
    ("-v /anonymous", "cat /anonymous/b"),
    ("-v {0}/new:/x", "stat -c '%u:%g %a' /x"),
    ("--mount type=bind,src={0}/nothing,dst=/x", "true"),
    ("-v {0}:/proc", "true"),
    ("-v {0}:/proc/sys", "true"),
    ("-v {0}/f:/proc/cpuinfo:ro", "cat /proc/cpuinfo"),
    ("-v {0}:/x:ro -v s1:/x", "true"),
    ("-v {0}:/etc/passwd", "true"),
    ("-v {0}/f:/etc", "true"),
    ("--mount type=tmpfs,dst=/x,tmpfs-size=64k,tmpfs-mode=700", SIZE),
)
FIRST = (
    "-v nn:/n -v /own -v {0}:/h:ro --mount src=mm,dst=/m,ro --tmpfs /t "
    "--mount type=bind,src={0},dst=/h2,bind-propagation=private"
)
# The same beside a container that was started with these.
BESIDE = (
    (
        "--volumes-from first",
        "touch /n/x /own/x; touch /h/x || echo no; ls /n /own /anonymous /h; ls /t",
    ),
    ("--volumes-from first:ro", "touch /n/y || echo refused; touch /own/y || echo refused"),
    ("--volumes-from nobody", "true"),
    ("--volumes-from first --tmpfs /n", "ls /n"),
)
# In Docker the order of what `-v` gave is another each time.
MOUNTS = (
    "{{range .HostConfig.Binds}}{{println .}}{{end}}"
    "{{range .Mounts}}{{.Destination}} {{.Type}} {{.RW}} [{{.Mode}}] [{{.Propagation}}]{{println}}{{end}}"
)
BEHIND = (
    ("volume create -o type=none -o o=bind -o device={0} behind", True),
    ("volume inspect -f {{{{.Driver}}}}-{{{{.Scope}}}}-{{{{.Options|json}}}} behind", True),
    ("run --rm --network none -v behind:/x IMAGE ls /x", True),
    ("run --rm --network none -v behind:/x IMAGE touch /x/made", True),
    ("volume rm behind", True),
    ("volume create -o type=tmpfs -o device=tmpfs -o o=size=64k,mode=700 memory", True),
    ("run --rm --network none -v memory:/x IMAGE stat -c %a /x", True),
    ("volume create -o colour=red wrong", False),
    ("volume inspect -f {{{{.Options|json}}}}-{{{{.Labels|json}}}} s1", True),
    ("volume rm -f nothing", True),
)


def build(tiffin, base, folder):
    """Build the image that the cases are about, and return an archive of it."""
    (folder / "Dockerfile").write_text(DOCKERFILE.format(base=base))
    tiffin("build", "-q", "-t", IMAGE, folder)
    tiffin("save", "-o", folder / "image.tar", IMAGE)
    return folder / "image.tar"


def told(engine, place):
    """What the engine tells, as text: of each command how it ended, and what it printed.

    `place` is a folder that is made for it.
    """
    place.mkdir()
    (place / "f").touch()
    return "".join(_told(engine, place)).replace(str(place), "PLACE")


def _told(engine, place):
    lines = []

    def ask(*words, prints=True):
        done = engine(*words, check=False)
        lines.append(f"{' '.join(map(str, words))}: {done.returncode}\n{done.stdout if prints else ''}")

    def run(options, script):
        ask("run", "--rm", "--network", "none", *options.format(place).split(), IMAGE, "sh", "-c", script)

    def start(name, options):
        words = ("--name", name, "--network", "none", *options.format(place).split(), IMAGE, "sleep", "100")
        ask("run", "-d", *words, prints=False)

    def count():
        return len(engine("volume", "ls", "-q").stdout.split())

    for case in ALONE:
        run(*case)
    start("first", FIRST)
    for case in BESIDE:
        run(*case)
    start("second", "--volumes-from first:ro")
    for field in ("VolumesFrom", "Mounts"):
        for name in ("first", "second"):
            ask("inspect", "-f", f"{{{{json .HostConfig.{field}}}}}", name)
    for name in ("first", "second"):
        lines.extend(sorted(engine("inspect", "-f", MOUNTS, name).stdout.splitlines(keepends=True)))
    ask("volume", "rm", "nn")
    before = count()
    for name in ("first", "second"):
        ask("rm", "-f", "-v", name)
        lines.append(f"{count() - before} volumes more\n")
    for words, prints in BEHIND:
        filled = words.replace("IMAGE", IMAGE).split(" ")
        ask(*(word.format(place) for word in filled), prints=prints)
    return [*lines, f"{sorted(path.name for path in place.iterdir())}\n"]


def main():
    """Record what Docker tells."""
    with tempfile.TemporaryDirectory(prefix="tiffin-mounts-") as name:
        folder = Path(name)

        def tiffin(*words):
            command = [sys.executable, "-m", "tiffin", *map(str, words)]
            subprocess.run(command, env={"TIFFIN_HOME": f"{folder}/store", "PATH": "/usr/bin"}, check=True)

        (folder / "bin").mkdir()
        shutil.copy("/bin/busybox", folder / "bin/busybox")
        (folder / "Dockerfile").write_text(BASE)
        tiffin("build", "-q", "-t", "base", folder)
        with Docker(folder).running() as docker:
            docker("load", "-i", build(tiffin, "base", folder))
            GOLDEN.write_text(told(docker, folder / "place"))


if __name__ == "__main__":
    main()

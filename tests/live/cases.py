"""Small Dockerfiles, each about one subject, that every builder has to make the same files of."""

import os
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple


class Case(NamedTuple):
    """Dockerfiles of one context, built in their order; the last one is the result.

    `{base}` stands for the image with a shell.
    """

    name: str
    dockerfiles: tuple[str, ...]
    context: Callable[[Path], object] = lambda _folder: None
    options: tuple[str, ...] = ()

    def files(self):
        return [f"Dockerfile{number}" for number in range(len(self.dockerfiles))]

    def prepare(self, folder, base):
        self.context(folder)
        for name, text in zip(self.files(), self.dockerfiles, strict=True):
            (folder / name).write_text(text.replace("{base}", base))
        if not (folder / ".dockerignore").exists():
            (folder / ".dockerignore").write_text("Dockerfile*\n.dockerignore\n")
        own(folder)


def own(folder):
    """Give a folder to the account that its parent belongs to; modes stay as they are."""
    owner = folder.parent.stat()
    for path in (folder, *folder.rglob("*")):
        mode = path.lstat().st_mode
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)
        if not path.is_symlink():
            path.chmod(mode & 0o7777)  # chown takes setuid away


def write(folder, files):
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    own(folder)


def fill(file):
    """Write until there is no room, not even for one byte."""
    for size in (1 << 16, 1 << 12, 1):
        with suppress(OSError):
            while True:
                file.write(bytes(size))


def copy_program(program, tree):
    """Copy a program of this machine into a tree of files, with the libraries that it is linked to."""
    libraries = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    for path in [program, *(word for word in libraries.split() if word.startswith("/"))]:
        place = tree / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, place)


def plain(folder):
    """A tree with most of what a tree can have."""
    write(folder, {"a.txt": "a", "b.txt": "b", "c.md": "c", ".dot": "d", "dir/f": "f", "dir/sub/g": "g"})
    write(folder, {"dir/.hidden": "h", "other/f": "other f", "other/x": "x", "with space": "s", "empty": ""})
    write(folder, {"ünï/ćode": "u", f"{'long' * 30}/{'name' * 40}": "l", "[a-b]*": "odd"})
    (folder / "dir/nothing").mkdir()
    (folder / "dir/link").symlink_to("sub/g")
    (folder / "dir/absolute").symlink_to("/etc/passwd")
    (folder / "dir/dangling").symlink_to("nowhere")
    (folder / "to-file").symlink_to("a.txt")
    (folder / "to-dir").symlink_to("dir")
    for name, mode in {
        "a.txt": 0o600, "b.txt": 0o755, "c.md": 0o444, "dir/f": 0o4755, "dir/sub": 0o2775,
        "dir/nothing": 0o1777, "other": 0o700, "dir/sub/g": 0o666,
    }.items():  # fmt: skip
        (folder / name).chmod(mode)


def archives(folder):
    """Archives in several dresses, and files that only look like one."""
    plain(folder)
    with tarfile.open(folder / "plain.tar", "w") as tar:
        for name, mode, uid, gid in (
            ("t", 0o755, 0, 0),
            ("t/f", 0o640, 1000, 2000),
            ("deep/er/g", 0o4755, 5, 6),
        ):
            info = tarfile.TarInfo(name)
            info.mode, info.uid, info.gid = mode, uid, gid
            if name == "t":
                info.type = tarfile.DIRTYPE
            tar.addfile(info)
        link = tarfile.TarInfo("t/link")
        link.type, link.linkname = tarfile.SYMTYPE, "f"
        tar.addfile(link)
        hard = tarfile.TarInfo("t/hard")
        hard.type, hard.linkname = tarfile.LNKTYPE, "t/f"
        hard.mode, hard.uid, hard.gid = 0o640, 1000, 2000
        tar.addfile(hard)
    for program, ending in (("gzip -n", "gz"), ("xz", "xz"), ("bzip2", "bz2")):
        with (folder / f"zipped-{ending}").open("wb") as out:
            subprocess.run([*program.split(), "-c", folder / "plain.tar"], stdout=out, check=True)
    (folder / "false.tar.gz").write_text("no archive")
    shutil.copy(folder / "plain.tar", folder / "dir/inner.tar")
    own(folder)


def capabilities(folder):
    """The program that sets capabilities, with all that it needs."""
    program = shutil.which("setcap", path="/usr/sbin:/sbin")
    assert program, "libcap2-bin is not installed"
    listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    wanted = [program, *(word for word in listed.split() if word.startswith("/"))]
    for file in wanted:
        target = folder / "root" / (file.lstrip("/") if "ld-linux" in file else f"lib/{Path(file).name}")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target)
    own(folder)


CASES = [
    Case("copy", (
        """\
FROM {base}
COPY a.txt /one
COPY a.txt b.txt /two/
COPY *.txt .dot /three/
COPY dir /four
COPY dir/ /five/
COPY dir other /six/
COPY to-file to-dir /seven/
COPY ["with space", "[[]a-b]*", "/eight/"]
COPY ünï long* /nine/
COPY a.txt ../../b.txt /ten/../eleven/
COPY none* a.txt /twelve/
COPY empty /thirteen/fourteen/fifteen
WORKDIR /work
COPY a.txt .
COPY . ./all
""",), plain),
    Case("copy-onto", (
        """\
FROM {base}
RUN mkdir -p /d/sub /real && chmod 700 /d /d/sub && echo old > /d/f && ln -s real /link \
 && ln -s d/f /to-f && ln -s nothing /broken && chown 1000:1000 /d \
 && mkdir /in && ln -s ../d/f /in/b.txt && ln -s nothing /in/a.txt \
 && echo > /in/x && chmod 7 /in/x
COPY a.txt b.txt other/x /in/
COPY dir /d
COPY other /link/
COPY a.txt /to-f
COPY b.txt /broken
COPY other/x /d/nothing/
""",), plain),
    Case("copy-flags", (
        """\
FROM {base}
COPY --chown=anna a.txt /a
COPY --chown=anna:wine dir /new/deep/dir
COPY --chown=12 b.txt /b
COPY --chown=12:13 to-file /c
COPY --chown=:wine a.txt /d
COPY --chmod=640 a.txt b.txt /root/
COPY --chmod=711 --chown=1000:2000 a.txt /root/g
""",), plain),
    Case("ignored", (
        "FROM {base}\nCOPY . /all\nCOPY dir /dir\n",
        ), lambda folder: (plain(folder), (folder / ".dockerignore").write_text(
            "# no\n*.txt\n!b.txt\n**/sub\n/other/\n!other/x\nempty*\n.d*\nDockerfile*\n"))),
    Case("add", (
        """\
FROM {base}
RUN mkdir /real && ln -s real /l && mkdir -m 700 /bz2 && chown 7:7 /bz2 && ln -s /nowhere /bz2/t
ADD plain.tar /plain/
ADD zipped-gz zipped-xz /zipped/
ADD zipped-bz2 /bz2
ADD false.tar.gz dir /false/
ADD --chown=anna a.txt /a
ADD plain.tar /l
""",), archives),
    Case("workdir", (
        """\
FROM {base}
WORKDIR /one/two
WORKDIR three
ENV NAME=four
WORKDIR ${NAME}/five
RUN echo x > here
USER anna
WORKDIR /anna/home
USER 1000
WORKDIR /number
USER 12:13
WORKDIR /both
WORKDIR /tmp
""",)),
    Case("variables", (
        """\
ARG GLOBAL=global
FROM {base}
ARG GLOBAL
ARG GIVEN=default OTHER="with space"
ENV A=1 B="two words" C=thr\\ ee
ENV A=9 D=$A E=${NONE:-fallback} F=${A:+set} G='$A'
ENV OLD form of env
LABEL a=b "quoted key"="quoted value" multi="one \\
two" from=$GIVEN
RUN echo "$GLOBAL $GIVEN $OTHER $A $B $C $D $E $F $G $OLD" > /said
RUN echo $HOME $PATH > /home-and-path && env | cut -d= -f1 | sort \
 | grep -E '^([A-Z]|OLD|GIVEN|OTHER|GLOBAL|TERM|HOSTNAME|SHLVL|USER|PWD|HOME|PATH)$' > /names
USER anna
RUN echo "$HOME $(id -u) $(id -g) $(id -G)" > /tmp/anna
COPY ${GIVEN}.txt /
""",), plain, ("--build-arg", "GIVEN=a", "--build-arg", "GLOBAL=set")),
    Case("run", (
        """\
FROM {base}
RUN mkdir -p /d/sub/deep /k && echo 1 > /d/f && echo 2 > /d/sub/g && echo 3 > /k/kept && echo 4 > /gone \
 && ln -s f /d/l && ln /d/f /d/hard && mkfifo /d/fifo && chmod 4755 /d/f && touch -d @1000000000 /d/old
RUN rm /gone && rm -r /d/sub && mkdir /d/sub && echo new > /d/sub/new
RUN mv /k /moved && chmod 700 /moved
RUN rm -r /moved && echo now a file > /moved
RUN rm /moved && ln -s d /moved && chmod 640 /d/f
RUN rm /moved && mkdir /moved && chown 1000:2000 /moved && ln /d/sub/new /moved/hard
RUN chown 33:33 /d/f && chmod 6755 /d/f && chown 0:0 /d/f
RUN umask > /umask && chmod 1777 /moved && rm -r /d/sub && true > /empty
RUN ["/bin/sh", "-c", "echo exec form > /exec"]
""",)),
    Case("names", (
        """\
FROM {base}
RUN mkdir /n && cd /n && touch -- "-dash" "$(printf 'new\\nline')" " " "$(printf '\\377\\376')" ".wh" "ü" \
 "$(head -c 250 /dev/zero | tr '\\0' x)" \
 && mkdir -p "$(head -c 120 /dev/zero | tr '\\0' y)/$(head -c 120 /dev/zero | tr '\\0' z)" \
 && ln -s "$(head -c 200 /dev/zero | tr '\\0' t)" longlink && truncate -s 3000000 hole && echo end >> hole
RUN chown 65534:65534 /n && chown -h 1000:2000 /n/longlink
""",)),
    Case("stages", (
        """\
FROM {base} AS First
RUN mkdir -p /out/sub && echo 1 > /out/f && ln /out/f /out/hard && ln -s f /out/l && chown -R anna:wine /out \
 && chmod 2750 /out/sub && chown -h anna /out/l && chmod 4711 /out/f
FROM scratch AS unused
COPY --from=first /missing /
FROM {base} AS second
ENV KEPT=yes
COPY --from=first /out /a
COPY --from=0 /out/f /out/l /b/
COPY --from=first --chown=0:0 /out /c
COPY --from={base} /etc/group /from-image
FROM second
RUN echo "$KEPT" > /said
FROM scratch
COPY --from=3 /said /a/f /deep/er/
COPY --from=second /a /
""",)),
    Case("metadata", (
        """\
FROM {base}
MAINTAINER Anna <anna@example.org>
EXPOSE 80 443/tcp 53/UDP 1000-1002
VOLUME /v1 /v2
VOLUME ["/v3"]
STOPSIGNAL 9
SHELL ["/bin/sh", "-ec"]
RUN echo -n shell > /shell
HEALTHCHECK --interval=1m --timeout=2s --start-period=3s --retries=4 CMD test -e /shell
CMD ["dropped"]
ENTRYPOINT exec top "$0"
USER anna:wine
WORKDIR /
LABEL a=1 a=2
ONBUILD RUN echo on
""",)),
    Case("commands", (
        """\
FROM {base} AS a
ENTRYPOINT ["/bin/echo"]
CMD ["x"]
FROM a
ENTRYPOINT ["/bin/cat"]
HEALTHCHECK NONE
""",)),
    Case("volume", (
        """\
FROM {base}
RUN mkdir /v && echo 1 > /v/before
VOLUME /v
RUN echo 2 > /v/after && mkdir /v/d
COPY dir /v/c
""",), plain),
    Case("onbuild", (
        """\
FROM {base}
RUN echo base > /log
ONBUILD COPY a.txt /a
ONBUILD RUN echo triggered >> /log
ONBUILD ENV T=1
ONBUILD USER 1000
""",
        """\
FROM onbuild0
RUN id -u > /tmp/id
ENV U=$T
"""), plain),
    Case("capabilities", (
        """\
FROM {base} AS tools
COPY root /
RUN cp /bin/busybox /ping && LD_LIBRARY_PATH=/lib /lib/setcap cap_net_raw,cap_net_bind_service+ep /ping \
 && cp /bin/busybox /lost && LD_LIBRARY_PATH=/lib /lib/setcap cap_net_raw+ep /lost
RUN chown 1000 /lost
FROM {base}
COPY --from=tools /ping /lost /bin/
RUN mv /bin/ping /ping
""",), capabilities),
    Case("scratch", ('FROM scratch\nCOPY a.txt /x/y/z\nENV A=b\nCMD ["/x"]\n',), plain),
]  # fmt: skip

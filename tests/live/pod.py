"""A place as tiffin finds it in a Kubernetes pod or a CI job: an ordinary container of a Docker of our own.

Docker's default capabilities, filter and masks; an overlay for the root filesystem. The image is empty: this
machine's programs, our package and the folder of the test are mounted in, all but the last read only, so that
nothing has to be fetched. `Pod` is called as the `Tiffin` of `conftest`, and paths below its home are
the same inside and outside; the store is inside, on the container's overlay.
"""

import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

IMAGE = "tiffin-pod"
ORDINARY = (
    *("--user", "1000:1000", "--tmpfs", "/run:mode=1777"),
    *("-e", "HOME=/var/tmp", "-e", "TIFFIN_HOME=/var/tmp/store"),
)
"""The options of a container whose user is not root."""
_MACHINES = ("/usr", "/etc/ssl", "/etc/ca-certificates", "/etc/alternatives")
_LINKS = {"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib", "lib64": "usr/lib64"}
_FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
    "etc/group": "root:x:0:\nnogroup:x:65534:\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
}


def image():
    """A root filesystem in which only what is mounted is of any use, as a tar."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        for name in ("etc", "root", "tmp", "var", "var/tmp", "var/lib", "run"):
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if name.endswith("tmp") else 0o755
            archive.addfile(entry)
        for name, target in _LINKS.items():
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            archive.addfile(entry)
        for name, text in _FILES.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    return data.getvalue()


class Pod:
    """The running container; `command` is tiffin in there. Further `options` are those of `docker run`."""

    rung = "chroot"

    def __init__(self, docker, home, command, *options) -> None:
        self.docker, self.home, self.command = docker, home, command
        if docker("image", "inspect", IMAGE, check=False).returncode != 0:
            self._client("import", "-", IMAGE, input=image(), check=True)
        installed = str(Path(command[0]).parents[2])
        mounts = [f"{path}:{path}:ro" for path in (*_MACHINES, installed) if Path(path).exists()]
        mounts.append(f"{home}:{home}")
        volumes = [word for mount in mounts for word in ("-v", mount)]
        kept = ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "http_proxy", "https_proxy", "no_proxy")
        env = [word for name in kept if name in os.environ for word in ("-e", f"{name}={os.environ[name]}")]
        arguments = [
            "run",
            "-d",
            "--network",
            "host",
            *volumes,
            *env,
            *options,
            IMAGE,
            "/bin/sleep",
            "100000",
        ]
        self.name = docker(*arguments).stdout.strip()

    def __call__(self, *arguments, check=True, cwd=None, env=None, **options):  # noqa: ANN204
        done = self.run(*self.command, *map(str, arguments), cwd=cwd, env=env, **options)
        if check and done.returncode != 0:
            pytest.fail(f"tiffin {arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def run(self, *command, cwd=None, env=None, **options):
        """Run any command in the container."""
        options = {"text": True, "timeout": 300, **options}
        given = [word for pair in (env or {}).items() for word in ("-e", "=".join(pair))]
        words = ["exec", "-i", "-w", str(cwd or self.home), *given, self.name, *command]
        return self._client(*words, capture_output=True, **options)

    def popen(self, *arguments, **options):
        words = [*self._words, "exec", "-i", "-w", str(self.home), self.name]
        return subprocess.Popen([*words, *self.command, *map(str, arguments)], text=True, **options)

    def stop(self):
        self._client("rm", "-f", self.name, capture_output=True)  # however long a large store takes to go

    @property
    def _words(self):
        return [str(self.docker.inside(Path("/usr/bin/docker"))), "--host", self.docker.socket]

    def _client(self, *arguments, check=False, **options):
        return subprocess.run([*self._words, *arguments], env=self.docker.env, check=check, **options)

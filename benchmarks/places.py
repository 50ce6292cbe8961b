"""A registry of our own on the loopback, and skopeo with a storage of its own."""

import contextlib
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

from engines import call, remove, tool
from measure import Unavailable

CONFIG = """version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage: {{filesystem: {{rootdirectory: {data}}}}}
http: {{addr: "{address}", secret: benchmark}}
"""
ANYTHING = '{"default": [{"type": "insecureAcceptAnything"}]}'


class Registry:
    """Debian's docker-registry, with a folder that can be emptied while it runs."""

    def __init__(self, work: Path) -> None:
        self.data = work / "registry"
        self.data.mkdir()
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{one.getsockname()[1]}"
        settings = work / "registry.yml"
        settings.write_text(CONFIG.format(data=self.data, address=self.address))
        command = [tool("docker-registry"), "serve", str(settings)]
        with (work / "registry.log").open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        for _ in range(100):
            with contextlib.suppress(urllib.error.URLError, OSError):
                urllib.request.urlopen(f"http://{self.address}/v2/", timeout=5).close()
                return
            time.sleep(0.05)
        self.close()
        raise Unavailable(
            "docker-registry does not start here: " + (work / "registry.log").read_text()[-300:]
        )

    def empty(self) -> None:
        """Forget everything: it keeps nothing in memory."""
        for entry in self.data.iterdir():
            shutil.rmtree(entry)

    def close(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait(10)


class Skopeo:
    """skopeo, which unpacks into a storage like Buildah's and Podman's."""

    name = "skopeo"

    def __init__(self, work: Path) -> None:
        if os.geteuid() != 0:
            raise Unavailable("skopeo is compared as root only")
        self.program = tool("skopeo")
        self.store = work / "skopeo"
        self.policy = work / "policy.json"
        self.policy.write_text(ANYTHING)

    def version(self) -> str:
        """Name and version."""
        return " ".join(call([self.program, "--version"]).split()[::2])

    def stored(self, name: str) -> str:
        """How an image in the storage is called."""
        return f"containers-storage:[overlay@{self.store}/root+{self.store}/run]{name}"

    def copying(self, source: str, target: str) -> list[str]:
        """The command that copies an image."""
        plain = ["--src-tls-verify=false"] if source.startswith("docker:") else []
        plain += ["--dest-tls-verify=false"] if target.startswith("docker:") else []
        return [self.program, "--policy", str(self.policy), "copy", "--quiet", *plain, source, target]

    def close(self) -> None:
        """Remove the storage."""
        remove(self.store)

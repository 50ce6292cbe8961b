"""A web server in this process: files, what a server tells of them, repositories, and every way to break it.

A repository is served by git's own program for servers, `git http-backend`.
"""

import os
import re
import subprocess
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import NamedTuple
from urllib.parse import unquote

from tests.doubles.server import serve


class Page(NamedTuple):
    """A file: its bytes, headers besides the length, and whether parts of it can be had."""

    data: bytes
    headers: dict[str, str] = {}  # noqa: RUF012  # never changed
    ranges: bool = False


class Seen(NamedTuple):
    """One request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]


class WebDouble:
    """Pages by path; below `folder`, bare repositories. `faults` are asked before each request.

    A fault is a function of the handler; it answers True when it has dealt with the request.
    """

    def __init__(self, folder=None) -> None:
        self.pages: dict[str, Page] = {}
        self.folder = folder
        self.faults: list = []
        self.seen: list[Seen] = []
        self.lock = threading.Lock()
        self.url = ""

    def requests(self):
        """What was asked: `METHOD path`."""
        return [f"{one.method} {one.path}" for one in self.seen]

    @contextmanager
    def serve(self, tls=None):
        """Answer at `url` for the time of the block."""
        double = self

        class Handler(_Handler):
            web = double

        with serve(Handler, tls) as self.url:
            yield self


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    web: WebDouble

    def log_message(self, *_arguments):
        return

    def do_GET(self):
        with self.web.lock:
            self.web.seen.append(Seen(self.command, self.path, dict(self.headers)))
        if any(fault(self) for fault in self.web.faults):
            return
        page = self.web.pages.get(unquote(self.path.partition("?")[0]))
        if page is not None:
            self.page(page)
        elif self.web.folder is not None and ".git/" in self.path:
            self.repository()
        else:
            self.reply(404, {})

    do_HEAD = do_POST = do_GET  # noqa: N815  # their names in the library

    def page(self, page):
        wanted, given = self.headers, page.headers
        etag, modified = given.get("ETag"), given.get("Last-Modified")
        if (etag and wanted.get("If-None-Match") == etag) or (
            modified and wanted.get("If-Modified-Since") == modified
        ):
            self.reply(304, given)
            return
        part = re.fullmatch(r"bytes=(\d+)-", wanted.get("Range", ""))
        if page.ranges and part and wanted.get("If-Range") in (etag, modified):
            start = int(part[1])
            told = f"bytes {start}-{len(page.data) - 1}/{len(page.data)}"
            self.reply(206, given | {"Content-Range": told}, page.data[start:])
            return
        self.reply(200, given, page.data)

    def reply(self, status, headers, body=b"", *, cut=None):
        """Answer; with `cut`, only the first bytes of the body that was promised, and the end."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 304:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[:cut])
        if cut is not None:
            self.close_connection = True

    def repository(self):
        path, _, query = re.sub(r"^http://[^/]*", "", self.path).partition("?")  # a proxy sees all of it
        done = subprocess.run(
            ["git", "http-backend"],
            input=self.body(),
            env={
                "PATH": os.environ["PATH"],
                "GIT_PROJECT_ROOT": str(self.web.folder),
                "GIT_HTTP_EXPORT_ALL": "1",
                "PATH_INFO": path,
                "QUERY_STRING": query,
                "REQUEST_METHOD": self.command,
                "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
                "GIT_CONFIG_COUNT": "1",
                "GIT_CONFIG_KEY_0": "safe.directory",
                "GIT_CONFIG_VALUE_0": "*",
            },
            check=True,
            capture_output=True,
        ).stdout
        head, _, body = done.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        self.reply(int(headers.pop("Status", "200").split()[0]), headers, body)

    def body(self):
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)


class Repository:
    """A repository made with git, and the bare one below `folder` that is served of it."""

    def __init__(self, folder, name) -> None:
        self.work = folder / f"{name}-work"
        self.bare = folder / f"{name}.git"
        self.work.mkdir(parents=True)
        self.git("init", "-q", "-b", "main")
        self.git("init", "-q", "--bare", "-b", "main", str(self.bare))

    def git(self, *words, check=True):
        """Run git in the work tree, the same for every user and at every time; return what it prints."""
        who = {"NAME": "anna", "EMAIL": "anna@example.org", "DATE": "2024-01-01T00:00:00Z"}
        env = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in who.items()}
        env |= {"PATH": os.environ["PATH"], "HOME": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
        done = subprocess.run(
            ["git", "-c", "safe.directory=*", *words],
            cwd=self.work,
            env=env,
            check=check,
            capture_output=True,
            text=True,
        )
        return done.stdout.strip()

    def commit(self, files, *tags):
        """Commit `files` (text by path; None removes) and serve it; the name of the commit."""
        for path, text in files.items():
            place = self.work / path
            if text is None:
                place.unlink()
                continue
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text)
        self.git("add", "-A")
        return self.publish(*tags)

    def publish(self, *tags):
        """Commit what is in the index and serve it; the name of the commit."""
        self.git("commit", "-q", "--allow-empty", "-m", "a commit")
        for tag in tags:
            self.git("tag", "-f", tag)
        self.git("push", "-q", "-f", "--tags", str(self.bare), "HEAD")
        return self.git("rev-parse", "HEAD")

    def submodule(self, path, url, commit):
        """Put a submodule into the index, whatever its URL is."""
        modules = self.work / ".gitmodules"
        text = modules.read_text() if modules.exists() else ""
        modules.write_text(f'{text}[submodule "{path}"]\n\tpath = {path}\n\turl = {url}\n')
        self.git("add", ".gitmodules")
        self.git("update-index", "--add", "--cacheinfo", f"160000,{commit},{path}")

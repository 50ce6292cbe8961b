"""An index of Python packages in this process, with the wheels of a folder: what PyPI is to pip and uv."""

import functools
import hashlib
import html
import re
import threading
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class _Handler(SimpleHTTPRequestHandler):
    """Wheels below /files, and below /simple a page for each project."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if not self.path.startswith("/simple/"):
            super().do_GET()
            return
        name = self.path.removeprefix("/simple/").strip("/")
        wheels = self.server.wheels.get(name, [])
        links = (
            f'<a href="/{html.escape(file)}#sha256={digest}">{html.escape(file)}</a>'
            for file, digest in wheels
        )
        data = "\n".join(("<!DOCTYPE html>", *links)).encode()
        self.send_response(200 if wheels else 404)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        """Say nothing."""


@contextmanager
def serve(folder: Path):
    """Serve the wheels of the folder; yield the address of the index."""
    handler = functools.partial(_Handler, directory=folder)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.wheels = {}
        for path in sorted(folder.glob("*.whl")):
            project = re.sub(r"[-_.]+", "-", path.name.split("-")[0]).lower()
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            server.wheels.setdefault(project, []).append((path.name, digest))
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/simple"
        finally:
            server.shutdown()
            thread.join()

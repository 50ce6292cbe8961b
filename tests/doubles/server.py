"""What the servers of the tests stand on."""

import socket
import threading
from contextlib import contextmanager, suppress
from http.server import ThreadingHTTPServer


class Server(ThreadingHTTPServer):
    """Ends its connections when it is closed, so that no thread outlives the test."""

    daemon_threads = False

    def __init__(self, *arguments) -> None:
        super().__init__(*arguments)
        self.connections = set()

    def process_request(self, request, client_address):
        self.connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request):
        self.connections.discard(request)
        super().shutdown_request(request)

    def server_close(self):
        for connection in list(self.connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        super().server_close()

    def handle_error(self, request, client_address):
        """A client that goes away is no news."""


@contextmanager
def serve(handler, tls=None):
    """Let `handler` answer at the URL that is given, with `tls` over TLS, for the time of the block."""
    server = Server(("127.0.0.1", 0), handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http{'s' if tls else ''}://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

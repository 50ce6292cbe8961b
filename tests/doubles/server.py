"""What the servers of the tests stand on."""

import socket
from contextlib import suppress
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

import functools
import http.server

handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory="/srv/static")
http.server.ThreadingHTTPServer(("", 8000), handler).serve_forever()

import getpass
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        with urllib.request.urlopen("http://127.0.0.1:9100") as answer:
            text = answer.read().decode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(f"{getpass.getuser()} asked {text}\n".encode())


HTTPServer(("", 8000), Handler).serve_forever()

import argparse
import json
import os
from http.server import BaseHTTPRequestHandler, HTTPServer

import joblib

model = joblib.load(os.environ["MODEL_PATH"])


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        kind = int(model.predict([[5.1, 3.5, 1.4, 0.2]])[0])
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"prediction": kind}).encode())


parser = argparse.ArgumentParser()
parser.add_argument("--port", type=int)
HTTPServer(("", parser.parse_args().port), Handler).serve_forever()

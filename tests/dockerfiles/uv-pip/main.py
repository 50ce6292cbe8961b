import msgspec
import orjson

print(orjson.dumps({"decoded": msgspec.json.decode(b"[1, 2]")}).decode())

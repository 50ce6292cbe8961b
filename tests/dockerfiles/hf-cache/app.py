import os

from huggingface_hub import scan_cache_dir, try_to_load_from_cache

path = try_to_load_from_cache("acme/tiny", "config.json")
print("found", os.path.relpath(path, os.environ["HF_HOME"]), "size", scan_cache_dir().size_on_disk)

import importlib.metadata

print("click", importlib.metadata.version("click"))

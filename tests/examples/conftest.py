"""The example's modules and the demo, loaded from where they lie."""

import importlib.util
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def load(path: Path, name: str):
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def root():
    return ROOT


@pytest.fixture(scope="session")
def finca():
    return ROOT / "examples" / "finca-serving"


@pytest.fixture(scope="session")
def features(finca):
    return load(finca / "features.py", "finca_features")


@pytest.fixture(scope="session")
def demo():
    return load(ROOT / "examples" / "demo.py", "finca_demo")

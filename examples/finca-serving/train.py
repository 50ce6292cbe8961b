"""Trains the cultivar classifier, reports how it does on wines it has not seen, and exports it to ONNX."""

import sys
from pathlib import Path

import numpy as np
from features import CULTIVARS, NAMES, row
from skl2onnx import to_onnx
from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def main(target: Path) -> None:
    """Train, report, export."""
    wines, cultivars = load_wine(return_X_y=True)
    # Every wine goes through the same door as a request will.
    wines = np.array([row(dict(zip(NAMES, wine, strict=True))) for wine in wines], dtype=np.float32)
    train_x, test_x, train_y, test_y = train_test_split(
        wines, cultivars, test_size=0.25, stratify=cultivars, random_state=7
    )

    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000, random_state=7))
    model.fit(train_x, train_y)
    right = int((model.predict(test_x) == test_y).sum())
    print(f"trained on {len(train_y)} wines of {', '.join(CULTIVARS)}")
    print(f"held-out accuracy: {right / len(test_y):.3f} ({right} of {len(test_y)} wines)")

    # zipmap off: probabilities as one plain array, which the runtime returns without Python objects.
    onnx = to_onnx(model, train_x[:1], options={"zipmap": False}, target_opset=18)
    target.write_bytes(onnx.SerializeToString(deterministic=True))
    print(f"exported {target} ({target.stat().st_size:,} bytes)")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""The finca's tasting room: tells from a wine's chemistry which grape it was made of."""

from pathlib import Path

import numpy as np
import onnxruntime
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from features import CULTIVARS, FEATURES, row
from pydantic import BaseModel, ConfigDict, Field, create_model

MODEL = Path(__file__).with_name("model.onnx")

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1  # the model is tiny: more threads would only wait for each other
session = onnxruntime.InferenceSession(MODEL, options, providers=["CPUExecutionProvider"])

# One field for each feature, with its limits: the schema shown under /docs is the feature table.
Wine = create_model(
    "Wine",
    __config__=ConfigDict(extra="forbid", allow_inf_nan=False),
    **{
        feature.name: (
            float,
            Field(
                ge=feature.low, le=feature.high, description=f"{feature.description} {feature.unit}".rstrip()
            ),
        )
        for feature in FEATURES
    },
)


class Prediction(BaseModel):
    """The likeliest cultivar, and how likely each of them is."""

    cultivar: str
    probabilities: dict[str, float]


class Refusal(BaseModel):
    """Why a request is no wine: for each field that is wrong, what is wrong with it."""

    error: str
    fields: dict[str, str]


app = FastAPI(title="Finca", description=__doc__, version="1.0.0")


@app.exception_handler(RequestValidationError)
def refuse(_: Request, error: RequestValidationError) -> JSONResponse:
    """Every field that is wrong, and why, in words."""
    fields = {
        str(item["loc"][-1]) if item["type"] != "json_invalid" else "body": item["msg"]
        for item in error.errors()
    }
    refusal = Refusal(error="these measurements cannot be read as a wine", fields=fields)
    return JSONResponse(refusal.model_dump(), status_code=422)


@app.get("/")
def welcome() -> dict[str, object]:
    """What this service does, and how to ask it."""
    return {
        "finca": "Which grape was this wine made of?",
        "cultivars": CULTIVARS,
        "ask": "POST /predict with " + ", ".join(feature.name for feature in FEATURES),
        "docs": "/docs",
    }


@app.get("/healthz")
def healthz() -> dict[str, str]:
    """Answers once the model is loaded."""
    return {"status": "ok"}


@app.post("/predict", responses={422: {"model": Refusal}})
def predict(wine: Wine) -> Prediction:
    """The cultivar that this wine was most likely made of."""
    wines = np.array([row(wine.model_dump())], dtype=np.float32)
    (label,), (chances,) = session.run(["label", "probabilities"], {"X": wines})
    probabilities = {name: round(float(chance), 4) for name, chance in zip(CULTIVARS, chances, strict=True)}
    return Prediction(cultivar=CULTIVARS[label], probabilities=probabilities)

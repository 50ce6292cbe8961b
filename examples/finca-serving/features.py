"""The feature pipeline: which measurements of a wine the model reads, in which order, within which limits.

Training and serving both import this module, so that a column can never be swapped between them.
It needs nothing but the standard library.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple


class Feature(NamedTuple):
    """One measurement: its name, what it is, its unit, and the limits outside which it is a mistake."""

    name: str
    description: str
    unit: str
    low: float
    high: float


FEATURES = (
    Feature("alcohol", "Alcohol", "% vol", 8, 18),
    Feature("malic_acid", "Malic acid", "g/l", 0, 10),
    Feature("ash", "Ash", "g/l", 0, 5),
    Feature("alcalinity_of_ash", "Alkalinity of the ash", "meq/l", 5, 50),
    Feature("magnesium", "Magnesium", "mg/l", 40, 250),
    Feature("total_phenols", "Total phenols", "g/l", 0, 6),
    Feature("flavanoids", "Flavonoids", "g/l", 0, 8),
    Feature("nonflavanoid_phenols", "Phenols that are no flavonoids", "g/l", 0, 2),
    Feature("proanthocyanins", "Proanthocyanidins", "g/l", 0, 6),
    Feature("color_intensity", "Colour intensity", "", 0, 20),
    Feature("hue", "Hue: absorbance at 420 nm over 520 nm", "", 0, 3),
    Feature("od280_od315", "Absorbance at 280 nm over 315 nm, diluted", "", 0, 6),
    Feature("proline", "Proline", "mg/l", 100, 3000),
)
NAMES = tuple(feature.name for feature in FEATURES)
CULTIVARS = ("Barolo", "Grignolino", "Barbera")


def problems(wine: Mapping[str, float]) -> list[str]:
    """What is wrong with these measurements, one sentence each; empty if nothing is."""
    found = [f"{name} is missing" for name in NAMES if name not in wine]
    found += [f"{name} is not a feature" for name in wine if name not in NAMES]
    for name, _, unit, low, high in FEATURES:
        value = wine.get(name, low)
        if not math.isfinite(value) or not low <= value <= high:
            found.append(f"{name} must be from {low:g} to {high:g} {unit}".rstrip() + f", not {value:g}")
    return found


def row(wine: Mapping[str, float]) -> list[float]:
    """The measurements in the order that the model expects; ValueError if anything is wrong with them."""
    if found := problems(wine):
        raise ValueError("; ".join(found))
    return [float(wine[name]) for name in NAMES]

"""The feature pipeline that training and serving share."""

import csv
import math

import pytest


@pytest.fixture
def wine(finca):
    with (finca / "data" / "harvest.csv").open(newline="") as file:
        measured = next(csv.DictReader(file))
    measured.pop("cultivar")
    return {name: float(value) for name, value in measured.items()}


def test_every_wine_of_the_harvest_is_a_wine(features, finca):
    with (finca / "data" / "harvest.csv").open(newline="") as file:
        harvest = list(csv.DictReader(file))
    assert len(harvest) == 178
    assert {wine.pop("cultivar") for wine in harvest} == set(features.CULTIVARS)
    assert [features.problems({k: float(v) for k, v in wine.items()}) for wine in harvest] == [[]] * 178


def test_a_row_has_the_order_of_the_features_whatever_the_order_of_the_request(features, wine):
    backwards = dict(reversed(wine.items()))
    assert features.row(backwards) == [wine[name] for name in features.NAMES]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"alcohol": 42}, "alcohol must be from 8 to 18 % vol, not 42"),
        ({"hue": -1}, "hue must be from 0 to 3, not -1"),
        ({"ash": math.nan}, "ash must be from 0 to 5 g/l, not nan"),
        ({"ash": math.inf}, "ash must be from 0 to 5 g/l, not inf"),
        ({"sugar": 3}, "sugar is not a feature"),
    ],
)
def test_what_is_wrong_is_said(features, wine, change, message):
    assert features.problems(wine | change) == [message]
    with pytest.raises(ValueError, match=r"must be|is not a feature"):
        features.row(wine | change)


def test_a_missing_measurement_is_named(features, wine):
    del wine["proline"]
    assert features.problems(wine) == ["proline is missing"]


def test_limits_belong_to_the_range(features, wine):
    for feature in features.FEATURES:
        assert features.problems(wine | {feature.name: feature.low}) == []
        assert features.problems(wine | {feature.name: feature.high}) == []

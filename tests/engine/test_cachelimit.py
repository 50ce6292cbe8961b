"""What goes of the build cache when it is too large, and what stays."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.suites.images import make_image, make_layer

from tiffin.build.cache import BuildCache
from tiffin.engine.building.request import BuildRequest
from tiffin.engine.builds import build
from tiffin.engine.cachelimit import Bounds, Remembered, least_used, limit, taken
from tiffin.engine.lookup import need_image
from tiffin.engine.prune import PruneRequest, prune
from tiffin.errors import InvalidError
from tiffin.events import Notice

GB = 1 << 30


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("none", None),
        ("20%", 20 * GB),
        ("0%", 0),
        ("100%", 100 * GB),
        ("5g", 5 * GB),
        ("10GB", 10 * GB),
        ("0", 0),
    ],
)
def test_limits(text, expected):
    assert limit(text, 100 * GB) == expected


@pytest.mark.parametrize("text", ["", "much", "101%", "-1", "5x", "%"])
def test_what_is_no_limit(text):
    with pytest.raises(InvalidError, match="TIFFIN_CACHE_LIMIT"):
        limit(text, GB)


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [
        (Bounds(), 0),
        (Bounds(least=30), 30),
        (Bounds(most=50), 50),
        (Bounds(most=50, least=70), 70),
        (Bounds(free=40), 80),  # 20 are free, so 20 of 100 have to go
        (Bounds(free=40, least=90), 90),
        (Bounds(free=40, most=60), 60),
        (Bounds(free=10), 100),
        (Bounds(free=500), 0),
    ],
)
def test_how_much_may_stay(bounds, expected):
    assert bounds.goal(100, 20) == pytest.approx(expected) if expected else bounds.goal(100, 20) <= 0


SIZES = {"a": 100, "b": 50, "c": 10}


def steps(*rows):
    return [Remembered(f"k{number}", layer, 1, used) for number, (layer, used) in enumerate(rows)]


def test_the_least_used_go_first():
    entries = steps(("a", 3), ("b", 1), ("c", 2))
    assert taken(entries, SIZES, ()) == 163
    assert least_used(entries, SIZES, (), 200) == []
    assert least_used(entries, SIZES, (), 120) == ["k1"]
    assert least_used(entries, SIZES, (), 105) == ["k1", "k2"]
    assert least_used(entries, SIZES, (), 0) == ["k1", "k2", "k0"]


def test_a_layer_goes_with_the_last_that_remembers_it():
    entries = steps(("a", 1), ("a", 2), ("b", 3))
    assert taken(entries, SIZES, ()) == 153
    assert least_used(entries, SIZES, (), 100) == ["k0", "k1"]


def test_layers_of_images_take_nothing_and_stay():
    entries = steps(("a", 1), ("b", 2))
    assert taken(entries, SIZES, {"a"}) == 52
    assert least_used(entries, SIZES, {"a"}, 10) == ["k1"]


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 5)), max_size=8),
    st.sets(st.sampled_from("abc")),
    st.integers(0, 200),
)
def test_the_goal_is_met_with_no_more_than_is_needed(rows, spared, goal):
    entries = steps(*rows)
    gone = least_used(entries, SIZES, spared, goal)
    left = [entry for entry in entries if entry.key not in gone]
    kept = [entry for entry in left if entry.layer in spared]
    assert taken(left, SIZES, spared) <= goal or len(left) == len(kept)
    if gone:
        before = [entry for entry in entries if entry.key not in gone[:-1]]
        assert taken(before, SIZES, spared) > goal


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="a store with true owners belongs to root")


def remember(engine, key, text, used):
    diff_id = make_layer(engine, {"f": text})
    BuildCache(engine.db, engine.layers).put(key, diff_id, key, 1.0)
    with engine.db.transaction() as connection:
        connection.execute("UPDATE cache SET used = ? WHERE key = ?", (used, key))
    return diff_id


@needs_root
def test_pruning_to_a_bound(engine):
    make_image(engine, "app", layers=({"f": "kept" * 30_000},))
    image_layer = need_image(engine, "app").config.rootfs.diff_ids[0]
    BuildCache(engine.db, engine.layers).put("image", image_layer, "image", 1.0)
    old, new = (remember(engine, key, key * 30_000, used) for key, used in (("old", 1), ("new", 2)))
    size = engine.layers.sizes()[new]
    report = prune(engine, PruneRequest(cache="all", bounds=Bounds(most=size + 10_000)))
    assert report.cache == ("old",)
    assert (engine.layers.has(old), engine.layers.has(new)) == (False, True)
    assert engine.layers.has(image_layer)
    assert prune(engine, PruneRequest(cache="all", bounds=Bounds(least=0))).cache == ("new",)


@needs_root
def test_a_build_keeps_the_cache_to_its_limit(engine, events, tmp_path):
    context = tmp_path / "c"
    context.mkdir()

    def run(number):
        (context / "f").write_text(f"{number}" * 400_000)
        (context / "Dockerfile").write_text("FROM scratch\nCOPY f /\n")
        build(engine, BuildRequest(context, outputs=("type=cacheonly",)))

    engine.settings.environ["TIFFIN_CACHE_LIMIT"] = "1000k"
    for number in range(4):
        run(number)
    with engine.db.read() as connection:
        assert connection.execute("SELECT COUNT(*) FROM cache").fetchone()[0] == 2
    assert [
        event for event in events if isinstance(event, Notice) and "were not used for long" in event.message
    ]
    engine.settings.environ["TIFFIN_CACHE_LIMIT"] = "lots"
    with pytest.raises(InvalidError, match="TIFFIN_CACHE_LIMIT"):
        run(5)

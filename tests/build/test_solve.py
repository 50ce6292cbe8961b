"""The solver with a workbench that only notes what is asked of it."""

import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from types import SimpleNamespace
from unittest.mock import patch

import pytest

from tiffin.build import cachekey
from tiffin.build.cache import Hit
from tiffin.build.canceled import LayerLost
from tiffin.build.fetching import Fetched
from tiffin.build.graph import MAIN, Copy, Graph, Http, Local, MakeDirectory, Run, Source, Vertex
from tiffin.build.solve import Solver
from tiffin.errors import FailedError, Where
from tiffin.events import StepDone, StepStarted, StepUnreached
from tiffin.oci.config import ContainerConfig
from tiffin.oci.digest import DiffID
from tiffin.oci.platform import Platform

PATIENCE = 20
BASE = DiffID.of(b"base")


def layer(text):
    return DiffID.of(text.encode())


class Cache:
    def __init__(self) -> None:
        self.kept, self.touched = {}, []

    def get(self, key):
        return self.kept.get(key)

    def put(self, key, diff_id, _description, seconds):
        assert seconds >= 0
        self.kept[key] = Hit(diff_id)

    def touch(self, keys):
        self.touched += keys

    def need(self, diff_ids):
        list(diff_ids)


class Bench:
    """`acts` says what a command does instead of making a layer of its own name."""

    def __init__(self, locks, **acts) -> None:
        self.cache, self.locks, self.epoch = Cache(), locks, 0
        self.acts, self.ran, self.held, self.parents = acts, [], [], {}
        self.looked = []
        self.stopped = threading.Event()
        self.context = "context content"
        self.reader = self

    def foresee(self, _name, _readings):
        """There is always room."""

    foresee_run = foresee

    def keep(self, diff_id):
        self.held.append(diff_id)

    def stop_processes(self):
        self.stopped.set()

    def shown(self, op, _origins):
        return [None for _ in op.mounts]

    def run(self, op, parent, _shown, report):
        name = op.arguments[-1]
        self.ran.append(name)
        self.parents[name] = parent
        act = self.acts.get(name)
        return act(report.stop) if act else layer(name)

    def make_directory(self, op, parent):
        self.ran.append(op.path)
        self.parents[op.path] = parent
        return None if op.path == "/there" else layer(op.path)

    def look(self, index, readings):
        self.looked.append((index, [reading.content for reading in readings]))

    def copied(self, _op, origins):
        """What a COPY reads: of a context by its name, or of layers."""
        return [
            SimpleNamespace(
                content=f"{origin}: {self.context}" if isinstance(origin, str) else f"layers {origin}",
                entries=tuple,
            )
            for origin in origins
        ]

    def copy(self, _op, readings, parent):
        content = "\n".join(reading.content for reading in readings)
        self.ran.append(content)
        self.parents[content] = parent
        return layer(content)

    def fetch(self, op, step):
        self.ran.append(f"{op.url} as {step}")
        layer_ = None if op.url == "nothing" else layer(op.url)
        return Fetched(layer_, f"key of {op.url}", 1.0, cached=op.url == "known", content="sha256:0")


@pytest.fixture
def make(tmp_path):
    return lambda **acts: Bench(tmp_path, **acts)


def run(name, *inputs):
    return Vertex(Run((name,), (), "", "/"), inputs or (0,), name, "0", Where("Dockerfile", 7))


def source(*diff_ids):
    return Vertex(Source("image", diff_ids or (BASE,)), (), "FROM image", "0")


def solve(bench, *vertices, emit=lambda _event: None, fresh=()):
    graph = Graph(vertices, len(vertices) - 1, ContainerConfig(), None, (), Platform("linux", "amd64"))
    return Solver(graph, bench, emit, fresh).solve()


def test_a_chain_of_steps_stacks_its_layers(make):
    bench = make()
    results = solve(bench, source(), run("one"), run("two", 1))
    assert bench.ran == ["one", "two"]
    assert bench.parents["two"] == (BASE, layer("one"))
    assert results[2].diff_ids == (BASE, layer("one"), layer("two"))
    assert (results[2].layer, results[2].cached) == (layer("two"), False)


def test_a_step_that_changes_nothing_adds_no_layer(make):
    bench = make(nothing=lambda _stop: None)
    results = solve(
        bench, source(), run("nothing"), Vertex(MakeDirectory("/there", ""), (1,), "W", "0"), run("x", 2)
    )
    assert results[3].diff_ids == (BASE, layer("x"))
    again = solve(bench, source(), run("nothing"))
    assert (again[1].cached, again[1].layer, again[1].diff_ids) == (True, None, (BASE,))


def test_what_is_remembered_is_held_and_not_done_again(make):
    bench = make()
    solve(bench, source(), run("one"), run("two", 1))
    bench.ran.clear()
    results = solve(bench, source(), run("one"), run("two", 1))
    assert bench.ran == []
    assert [results[index].cached for index in (1, 2)] == [True, True]
    assert bench.held == [layer("one"), layer("two")]
    assert len(bench.cache.touched) == 2


def test_a_step_depends_on_what_lies_below_it(make):
    bench = make()
    solve(bench, source(), run("one"))
    solve(bench, source(layer("other base")), run("one"))
    assert bench.ran == ["one", "one"]


def test_no_cache_runs_again_and_remembers_the_new(make):
    bench = make()
    solve(bench, source(), run("one"))
    bench.acts["one"] = lambda _stop: layer("another")
    results = solve(bench, source(), run("one"), fresh=(1,))
    assert bench.ran == ["one", "one"]
    assert results[1].layer == layer("another")
    assert solve(bench, source(), run("one"))[1].layer == layer("another")


COPY = Copy(("a",), (), "/")


def test_a_copy_depends_on_what_it_reads(make):
    bench = make()
    vertices = (source(), Vertex(Local(MAIN), (), "", ""), Vertex(COPY, (0, 1), "COPY", "0"))
    assert solve(bench, *vertices)[1].diff_ids == ()
    assert solve(bench, *vertices)[2].cached
    bench.context = "changed"
    assert not solve(bench, *vertices)[2].cached
    assert bench.ran == [": context content", ": changed"]
    assert bench.looked == [(2, [content]) for content in bench.ran]  # and not when it was remembered


def test_a_copy_of_a_stage_reads_its_layers_and_one_of_texts_nothing(make):
    bench = make()
    results = solve(
        bench,
        source(),
        run("stage"),
        Vertex(COPY, (0, 1), "COPY --from", "1"),
        Vertex(COPY, (2,), "COPY <<EOF", "1"),
    )
    assert bench.ran == ["stage", f"layers {(BASE, layer('stage'))}", ""]
    assert results[3].diff_ids == (BASE, layer(bench.ran[1]), layer(""))


def test_a_stage_built_anew_with_the_same_output_keeps_its_consumers(make):
    bench = make()
    vertices = (source(), run("stage"), Vertex(COPY, (0, 1), "COPY --from", "1"))
    solve(bench, *vertices)
    results = solve(bench, *vertices, fresh=(1,))
    assert not results[1].cached
    assert results[2].cached


def test_steps_that_do_not_read_each_other_run_at_once(make):
    barrier = threading.Barrier(2)

    def meet(name):
        def act(_stop):
            barrier.wait(PATIENCE)  # breaks unless both are there
            return layer(name)

        return act

    results = solve(make(a=meet("a"), b=meet("b")), source(), run("a"), run("b"), run("c", 1))
    assert results[2].diff_ids == (BASE, layer("b"))


def test_the_same_step_twice_runs_once(make):
    bench = make()
    results = solve(bench, source(), run("same"), run("same"))
    assert bench.ran == ["same"]
    assert sorted(results[index].cached for index in (1, 2)) == [False, True]
    assert results[1].diff_ids == results[2].diff_ids


def fail(message):
    def act(_stop):
        raise FailedError(message, exit_status=3)

    return act


def test_the_first_failure_is_raised_with_its_place_and_stops_the_rest(make):
    started = threading.Event()

    def long(stop):
        started.set()
        assert stop.wait(PATIENCE)
        assert bench.stopped.wait(PATIENCE)
        raise FailedError("killed", exit_status=137)

    def short(_stop):
        assert started.wait(PATIENCE)
        raise FailedError("real", exit_status=3)

    bench = make(long=long, short=short)
    events = []
    with pytest.raises(FailedError, match="real") as caught:
        solve(
            bench,
            source(),
            run("long"),
            run("short"),
            run("never", 1),
            run("nor this", 2),
            emit=events.append,
        )
    assert (caught.value.exit_status, caught.value.where) == (3, Where("Dockerfile", 7))
    assert sorted(bench.ran) == ["long", "short"]
    assert bench.cache.kept == {}
    ends = {event.step: event.status for event in events if isinstance(event, StepDone)}
    assert ends == {"0": "done", "1": "canceled", "2": "failed"}
    assert [event.step for event in events if isinstance(event, StepUnreached)] == ["3", "4"]


def test_of_failures_at_once_one_is_the_failure(make):
    """Whichever comes first is raised and told of; all others were stopped for it."""
    count = 4
    together = threading.Barrier(count)

    def act(name):
        def failing(_stop):
            together.wait(PATIENCE)
            raise FailedError(name)

        return failing

    for _ in range(20):
        together.reset()
        events = []
        bench = make(**{f"s{n}": act(f"s{n}") for n in range(count)})
        with patch("os.cpu_count", return_value=count), pytest.raises(FailedError) as caught:
            solve(bench, source(), *(run(f"s{n}") for n in range(count)), emit=events.append)
        ends = [(event.step, event.status) for event in events if isinstance(event, StepDone)]
        failed = [int(step) - 1 for step, status in ends if status == "failed"]
        assert failed == [int(caught.value.message[1:])]
        assert len(ends) == count + 1


def test_steps_that_wait_for_a_free_thread_are_not_reached(make):
    events = []
    with patch("os.cpu_count", return_value=1), pytest.raises(FailedError):
        solve(make(bad=fail("bad")), source(), run("bad"), *map(run, "rstuvwxy"), emit=events.append)
    begun = {event.step for event in events if isinstance(event, StepStarted)}
    left = {event.step for event in events if isinstance(event, StepUnreached)}
    assert begun | left == {str(n) for n in range(10)}
    assert begun & left == set()


def test_a_build_that_is_interrupted_speaks_of_nothing_unreached(make):
    def interrupt(_stop):
        raise KeyboardInterrupt

    events = []
    with pytest.raises(KeyboardInterrupt):
        solve(make(one=interrupt), source(), run("one"), run("two", 1), emit=events.append)
    assert [event for event in events if isinstance(event, StepUnreached)] == []


def test_what_was_done_before_a_failure_is_remembered(make):
    bench = make(bad=fail("bad"))
    with pytest.raises(FailedError):
        solve(bench, source(), run("good"), run("bad", 1))
    assert bench.stopped.is_set()
    bench.ran.clear()
    bench.acts.clear()
    results = solve(bench, source(), run("good"), run("bad", 1))
    assert bench.ran == ["bad"]
    assert results[1].cached


def test_a_failed_step_is_tried_again(make):
    bench = make(bad=fail("bad"))
    for _ in range(2):
        with pytest.raises(FailedError):
            solve(bench, source(), run("bad"))
    assert bench.ran == ["bad", "bad"]


def test_an_interrupt_stops_what_runs(make):
    """Ctrl-C comes while the main thread waits for steps."""

    def long(stop):
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        assert stop.wait(PATIENCE)
        assert bench.stopped.wait(PATIENCE)
        raise FailedError("killed")

    bench = make(long=long)
    with pytest.raises(KeyboardInterrupt):
        solve(bench, source(), run("long"), run("after", 1))
    assert bench.ran == ["long"]
    assert bench.cache.kept == {}


HOLD = """
import sys
from pathlib import Path
from tiffin.linux.files import lock
with lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def held_elsewhere(path):
    """The lock, held by another process until `release` or the end."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    try:
        yield process
    finally:
        process.stdin.close()
        process.stdout.close()
        process.wait(PATIENCE)


def key_of(name):
    return cachekey.key(Run((name,), (), "", "/"), (BASE,), "", 0)


def test_a_step_that_another_build_executes_is_waited_for(make):
    bench, key = make(), key_of("one")
    with held_elsewhere(bench.locks / f"step-{key}") as process:

        def finish():
            while not looked.wait(0.01):
                pass
            bench.cache.kept[key] = Hit(layer("theirs"))
            process.stdin.close()

        looked = threading.Event()
        ask = bench.cache.get
        bench.cache.get = lambda key: (looked.set(), ask(key))[1]
        thread = threading.Thread(target=finish)
        thread.start()
        results = solve(bench, source(), run("one"))
        thread.join()
    assert bench.ran == []
    assert (results[1].layer, results[1].cached) == (layer("theirs"), True)


def test_who_waits_for_another_build_can_be_stopped(make):
    """Another step fails while this one waits for a lock that nobody lets go of."""
    bench = make(bad=fail("bad"))
    with held_elsewhere(bench.locks / f"step-{key_of('one')}"):
        begun = time.monotonic()
        with pytest.raises(FailedError, match="bad"):
            solve(bench, source(), run("one"), run("bad"))
        assert time.monotonic() - begun < PATIENCE
    assert bench.ran == ["bad"]


def test_an_error_of_a_step_that_looks_like_a_held_lock_is_an_error(make):
    def busy(_stop):
        raise BlockingIOError("the disk is asleep")

    bench = make(one=busy)
    with pytest.raises(BlockingIOError, match="asleep"):
        solve(bench, source(), run("one"))
    assert bench.ran == ["one"]


def test_no_thread_outlives_the_build(make):
    before = threading.active_count()
    with pytest.raises(FailedError):
        solve(make(bad=fail("bad")), source(), run("bad"), *(run(f"r{number}") for number in range(20)))
    assert threading.active_count() == before


def test_what_is_fetched_is_a_layer_to_copy_from(make):
    def fetch(url):
        return Vertex(Http(url, "f"), (), f"fetch {url}", "0")

    bench, events = make(), []
    results = solve(
        bench,
        source(),
        fetch("new"),
        fetch("known"),
        fetch("nothing"),
        Vertex(COPY, (0, 1, 2), "ADD", "0"),
        emit=events.append,
    )
    assert [results[index].diff_ids for index in (1, 2, 3)] == [(layer("new"),), (layer("known"),), ()]
    assert results[1].key == "key of new"
    assert bench.ran[-1] == f"layers {(layer('new'),)}\nlayers {(layer('known'),)}"
    done = {event.step: event.status for event in events if isinstance(event, StepDone)}
    assert (done["1"], done["2"]) == ("done", "cached")


def test_every_step_tells_when_it_begins_and_how_it_ends(make):
    bench, events = make(), []
    solve(bench, source(), run("one"))
    solve(bench, source(), run("one"), emit=events.append)
    assert [(type(event).__name__, event.step) for event in events] == [
        ("StepStarted", "0"),
        ("StepDone", "0"),
        ("StepStarted", "1"),
        ("StepDone", "1"),
    ]
    assert [event.status for event in events if isinstance(event, StepDone)] == ["done", "cached"]


def test_a_lost_layer_is_made_after_all_and_what_runs_meanwhile_is_let_run(make):
    """A cache said that `lost` makes a layer, and when `user` looks into that, it is not to be had."""
    started, lost = threading.Event(), threading.Event()

    def long(_stop):
        started.set()
        assert lost.wait(PATIENCE)
        return layer("long")

    def need(diff_ids):
        if layer("promised") in set(diff_ids):
            assert started.wait(PATIENCE)
            bench.cache.kept.clear()
            lost.set()
            raise LayerLost

    bench, events = make(long=long), []
    bench.cache.kept[key_of("lost")] = Hit(layer("promised"))
    bench.cache.need = need
    results = solve(bench, source(), run("lost"), run("user", 1), run("long"), emit=events.append)
    assert results[2].diff_ids == (BASE, layer("lost"), layer("user"))
    assert sorted(bench.ran) == ["long", "lost", "user"]
    assert not bench.stopped.is_set()


def test_what_fails_beside_a_lost_layer_fails_the_build(make):
    started, lost = threading.Event(), threading.Event()

    def bad(_stop):
        started.set()
        assert lost.wait(PATIENCE)
        raise FailedError("bad")

    def need(diff_ids):
        if layer("promised") in set(diff_ids):
            assert started.wait(PATIENCE)
            lost.set()
            raise LayerLost

    bench = make(bad=bad)
    bench.cache.kept[key_of("lost")] = Hit(layer("promised"))
    bench.cache.need = need
    with pytest.raises(FailedError, match="bad"):
        solve(bench, source(), run("lost"), run("user", 1), run("bad"))
    assert bench.ran == ["bad"]

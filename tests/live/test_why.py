"""`build --why`: what is told of each step, for changes as people make them."""

import shutil

import pytest
from tests.doubles.registry import RegistryDouble
from tests.live.machine import BUSYBOX, NEEDS

from tiffin.engine.prune import PruneRequest, disk_usage, prune
from tiffin.engine.transfers import push
from tiffin.errors import FailedError

pytestmark = NEEDS

DOCKERFILE = """
FROM scratch AS base
COPY busybox /bin/sh

FROM base AS train
COPY data /data
RUN read x </data/a.csv; echo $x >/model

FROM base
ARG VERSION=1
COPY requirements.txt /
RUN : install /requirements.txt
COPY --from=train /model /model
WORKDIR /app
COPY app.py .
"""
INSTALL = "RUN : install /requirements.txt"


@pytest.fixture
def context(tmp_path):
    place = tmp_path / "context"
    (place / "data").mkdir(parents=True)
    shutil.copy(BUSYBOX, place / "busybox")
    (place / "data/a.csv").write_text("1\n")
    (place / "requirements.txt").write_text("fastapi==0.1\nnumpy\ntorch==2.5\n")
    (place / "app.py").write_text("print(1)\n")
    (place / "Dockerfile").write_text(DOCKERFILE)
    return place


@pytest.fixture
def one(machine):
    return machine("one")


def told(one, context, **options):
    """What is told of all steps that are not remembered."""
    one.build(context, why=True, **options)
    return {name: found for name, found in one.why().items() if found != "hit"}


def replace(path, old, new):
    path.write_text(path.read_text().replace(old, new))


def test_the_first_build_and_the_second(one, context):
    first = told(one, context)
    assert len(first) == 8
    assert set(map(tuple, first.values())) == {("it was not built here before",)}
    assert told(one, context) == {}
    hits = [event for event in one.events if type(event).__name__ == "StepWhy"]
    assert all(event.age >= 0 and event.seconds >= 0 for event in hits)


def test_nothing_is_told_unless_asked_for(one, context):
    one.build(context)
    assert one.why() == {}


def test_a_requirement(one, context):
    one.build(context)
    replace(context / "requirements.txt", "2.5", "2.6")
    follows = ["COPY requirements.txt / before it gave another result"]
    assert told(one, context) == {
        "COPY requirements.txt /": ["requirements.txt line 3: torch 2.5 → 2.6"],
        INSTALL: follows,
        "COPY --from=train /model /model": follows,
        "WORKDIR /app": follows,
        "COPY app.py .": follows,
    }


def test_new_files_and_another_result_of_a_stage(one, context):
    one.build(context)
    (context / "data/a.csv").write_text("2\n")
    for name in "bcde":
        (context / f"data/{name}.csv").write_text("")
    found = told(one, context)
    assert found["COPY data /data"] == ["data/a.csv line 1: 1 → 2", "new file data/b.csv (and 3 more)"]
    assert found["COPY --from=train /model /model"] == [
        "stage train gave another result: model line 1: 1 → 2"
    ]


def test_an_argument(one, context):
    one.build(context)
    assert told(one, context, build_args={"VERSION": "2"})[INSTALL] == ["ARG VERSION 1 → 2"]


def test_an_instruction_that_changed_and_one_that_came_between(one, context):
    one.build(context)
    replace(context / "Dockerfile", INSTALL, "RUN : first\nRUN : install -q /requirements.txt")
    found = told(one, context)
    assert found["RUN : first"] == ["command changed: : install /requirements.txt → : first"]
    replace(context / "Dockerfile", "RUN : first\n", "RUN : zero\nRUN : first\n")
    found = told(one, context)
    assert found["RUN : zero"] == ["it was not built here before"]


def test_going_back_and_on_compares_with_the_last_build(one, context):
    one.build(context)
    replace(context / "requirements.txt", "2.5", "2.6")
    one.build(context)
    replace(context / "requirements.txt", "2.6", "2.5")
    assert told(one, context) == {}
    replace(context / "requirements.txt", "2.5", "2.7")
    assert told(one, context)["COPY requirements.txt /"] == ["requirements.txt line 3: torch 2.5 → 2.7"]


def test_a_step_that_failed_is_compared_with_the_last_that_did_not(one, context):
    one.build(context)
    replace(context / "Dockerfile", INSTALL, "RUN exit 1")
    for _ in range(2):
        with pytest.raises(FailedError):
            one.build(context, why=True)
        assert one.why()["RUN exit 1"] == ["command changed: : install /requirements.txt → exit 1"]


def test_no_cache_says_so(one, context):
    one.build(context)
    found = told(one, context, no_cache_filter=("train",))
    assert found == {
        "COPY data /data": ["it is not looked up: --no-cache"],
        "RUN read x </data/a.csv; echo $x >/model": ["it is not looked up: --no-cache"],
    }


def test_a_new_base(one, machine, context):
    with RegistryDouble().serve() as double:
        name = f"{double.address}/team/base:1"
        (context / "child").write_text(f"FROM {name}\nRUN : hello\n")
        other = machine("other")
        digests = []
        for text in ("1", "2"):
            (context / "data/a.csv").write_text(text)
            other.build(context, name, target="train")
            digests.append(push(other.engine, name).digest[:19])
            found = told(one, context, dockerfile=context / "child", pull=True)
        assert found == {"RUN : hello": [f"base image digest changed ({name} {digests[0]}… → {digests[1]}…)"]}


def test_records_go_with_the_cache(one, context):
    one.build(context)

    def kept():
        with one.engine.db.read() as connection:
            return connection.execute("SELECT COUNT(*), SUM(LENGTH(record)) FROM step_record").fetchone()

    count, size = kept()
    assert count == 8
    assert sum(each.size for each in disk_usage(one.engine).cache) > size
    prune(one.engine, PruneRequest(cache="all"))
    assert kept()[0] == 0
    found = told(one, context)
    assert set(map(tuple, found.values())) == {
        ("nothing changed, but its result is not in the cache any more",)
    }


def test_what_another_machine_built_is_explained_too(one, machine, context, tmp_path):
    machine("two").build(context, cache_to=(f"type=local,dest={tmp_path}/kept,mode=max",))
    source = f"type=local,src={tmp_path}/kept"
    one.build(context, why=True, cache_from=(source,))
    assert set(one.why().values()) == {"hit"}
    replace(context / "requirements.txt", "2.5", "2.6")
    found = told(one, context, cache_from=(source,))
    assert found["COPY requirements.txt /"] == ["requirements.txt line 3: torch 2.5 → 2.6"]


def test_secrets_are_not_kept(one, context):
    (context / ".env").write_text("TOKEN=hunter2\n")
    (context / "Dockerfile").write_text("FROM scratch\nCOPY . /\n")
    one.build(context)
    (context / ".env").write_text("TOKEN=hunter3\n")
    assert told(one, context) == {"COPY . /": [".env changed"]}
    from tiffin.build.steprecord import unpack

    with one.engine.db.read() as connection:
        for (record,) in connection.execute("SELECT record FROM step_record"):
            assert "hunter" not in str(unpack(record))

"""The plain root of a step: what is looked at in it by a name that the image has lies in it."""

import os

import pytest
from tests.runtime.test_spec import PLACE

from tiffin.build.ops.plainground import PlainGround
from tiffin.layer.describe import describe
from tiffin.layer.owners import TrueOwners
from tiffin.linux.isolation import Rung
from tiffin.oci.config import ContainerConfig
from tiffin.runtime.spec import HOST, Options, make_spec
from tiffin.runtime.users import User
from tiffin.snapshot.layers import LayerStore
from tiffin.store.db import Database
from tiffin.store.home import Home

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="owners are changed")


@pytest.fixture
def planned(tmp_path):
    """The plan of a step, and the pipe that it has, in an image that the function fills."""
    home = Home(tmp_path / "home", tmp_path / "run").create()
    database = Database(home.database)
    layers = LayerStore(home, database, TrueOwners())
    ground = PlainGround(layers, Rung.CHROOT)
    work = tmp_path / "work"
    work.mkdir()

    def plan(fill):
        with layers.workspace() as place:
            (place / "tree").mkdir()
            fill(place / "tree")
            layer = describe(place / "tree", layers.owners)
            layers.commit(place / "tree", layer)
        spec = make_spec(
            ContainerConfig(cmd=("sh",)), User(1000, 1000, (), "/"), Options(network=HOST), PLACE
        )
        return ground.plan(spec, (), work, [layer.diff_id], PLACE.machine), ground.pipe(work)

    yield plan
    ground.drop(work)
    database.close()


@pytest.mark.parametrize(
    ("target", "there", "gains"),
    [
        ("/opt/sudo", "opt/sudo", True),
        ("../../opt/sudo", "opt/sudo", True),
        ("{outside}", "", False),
        ("../../../../../../../../../../{outside}", "", False),
        ("sudo", "", False),
    ],
)
def test_a_program_that_gives_rights_is_looked_for_in_the_image(planned, tmp_path, target, there, gains):
    outside = tmp_path / "outside"
    outside.touch()

    def fill(tree):
        (tree / "usr/bin").mkdir(parents=True)
        (tree / "opt").mkdir()
        if there:
            (tree / there).touch()
        (tree / "usr/bin/sudo").symlink_to(target.format(outside=outside))

    plan, pipe = planned(fill)
    for fd in pipe:
        os.close(fd)
    assert (plan.process.view == ()) is gains


def test_the_output_of_a_step_goes_where_no_link_of_the_image_leads(planned, tmp_path):
    victim = tmp_path / "outside/self/fd/1"
    victim.parent.mkdir(parents=True)
    victim.touch()
    _, (reading, writing) = planned(lambda tree: (tree / "proc").symlink_to(tmp_path / "outside"))
    os.write(writing, b"told")
    assert os.read(reading, 4) == b"told"
    assert victim.read_bytes() == b""
    os.close(reading)
    os.close(writing)

"""What `--gpus` asks for, and which of the devices of a machine that means."""

import pytest

from tiffin.engine.accelerators import Gpus, choose_gpus, device_requests, parse_gpus
from tiffin.errors import InvalidError, NotFoundError, UnsupportedError
from tiffin.runtime.cdi import parse_specification
from tiffin.runtime.gpu import Catalogue


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("all", Gpus(-1)),
        ("-1", Gpus(-1)),
        ("2", Gpus(2)),
        ("count=2,driver=nvidia", Gpus(2, driver="nvidia")),
        ("device=0,1", Gpus(0, ("0", "1"))),
        ('"device=0,GPU-a"', Gpus(0, ("0", "GPU-a"))),
        ('all,"capabilities=compute,utility"', Gpus(-1, capabilities=("compute", "utility"))),
        ("driver=amd", Gpus(-1, driver="amd")),
    ],
)
def test_what_is_asked_for(text, wanted):
    assert parse_gpus(text) == wanted


@pytest.mark.parametrize("text", ["0", "-2", "x", "2,3", "2,device=0", "device=", "driver=acme", "²"])
def test_what_cannot_be_asked_for(text):
    with pytest.raises(InvalidError, match="--gpus") as caught:
        parse_gpus(text)
    assert caught.value.exit_status == 125


def test_options_of_a_driver_are_refused():
    with pytest.raises(UnsupportedError, match="options is not supported"):
        parse_gpus("all,options=a")


def catalogue(**kinds):
    return Catalogue(
        [
            [
                parse_specification(
                    {
                        "cdiVersion": "0.6.0",
                        "kind": f"{vendor}.com/gpu",
                        "devices": [{"name": name} for name in names],
                    },
                    "f",
                )
                for vendor, names in kinds.items()
            ]
        ]
    )


BOTH = {"amd": ["0"], "nvidia": ["10", "2", "0", "GPU-aa", "GPU-bb", "GPU-cc", "all"]}


@pytest.mark.parametrize(
    ("kinds", "text", "names"),
    [
        (BOTH, "all", ["nvidia.com/gpu=all"]),
        (BOTH, "2", ["nvidia.com/gpu=0", "nvidia.com/gpu=2"]),
        (BOTH, "device=GPU-bb,0", ["nvidia.com/gpu=GPU-bb", "nvidia.com/gpu=0"]),
        (BOTH, "driver=amd", ["amd.com/gpu=0"]),
        ({"amd": ["0", "1"]}, "all", ["amd.com/gpu=0", "amd.com/gpu=1"]),
        ({"nvidia": ["GPU-aa", "GPU-bb", "all"]}, "1", ["nvidia.com/gpu=GPU-aa"]),
    ],
)
def test_which_are_meant(kinds, text, names):
    assert [offer.name for offer in choose_gpus(catalogue(**kinds), parse_gpus(text))] == names


@pytest.mark.parametrize(
    ("kinds", "text", "message"),
    [
        ({}, "all", "offers no GPU"),
        ({"acme": ["0"]}, "all", "offers no GPU"),
        ({"nvidia": ["0"]}, "driver=amd", "offers no GPU"),
        (BOTH, "4", "offers 3 of nvidia.com/gpu"),
        (BOTH, "device=0,7", "no nvidia.com/gpu=7"),
    ],
)
def test_what_is_not_there(kinds, text, message):
    with pytest.raises(NotFoundError, match=message) as caught:
        choose_gpus(catalogue(**kinds), parse_gpus(text))
    assert caught.value.exit_status == 125


def test_the_same_as_docker_tells_it():
    gpus, devices = device_requests("device=0", ("acme.com/x=1",))
    assert (gpus["Count"], gpus["DeviceIDs"], gpus["Capabilities"]) == (0, ["0"], [["gpu"]])
    assert (devices["Driver"], devices["DeviceIDs"]) == ("cdi", ["acme.com/x=1"])

"""What the doctor says of accelerators, on machines that are made up."""

import json

import pytest

from tiffin.engine.gpudoctor import examine_gpus, loaded_version

CLOSED = (
    "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.05  Sat Aug 19 01:15:15 UTC 2023\nGCC 12.2.0\n"
)
OPEN = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  545.23.08  Release Build  (x)\n"


@pytest.mark.parametrize(
    ("text", "version"), [(CLOSED, "535.104.05"), (OPEN, "545.23.08"), ("", ""), ("x 1.2", "")]
)
def test_the_version_that_is_loaded(text, version):
    assert loaded_version(text) == version


@pytest.fixture
def examine(tmp_path):
    def report(driver="", **devices):
        library = tmp_path / "libcuda.so.535.104.05"
        library.touch()
        mount = {"hostPath": str(library), "containerPath": "/usr/lib/libcuda.so.535.104.05"}
        document = {
            "cdiVersion": "0.6.0",
            "kind": "nvidia.com/gpu",
            "containerEdits": {"mounts": [mount]},
            "devices": [
                {
                    "name": name,
                    "containerEdits": {"deviceNodes": [{"path": "/dev/nvidia0", "hostPath": path}]},
                }
                for name, path in devices.items()
            ],
        }
        (tmp_path / "cdi").mkdir(exist_ok=True)
        if devices:
            (tmp_path / "cdi" / "nvidia.json").write_text(json.dumps(document))
        (tmp_path / "version").write_text(driver)
        checks = examine_gpus({"TIFFIN_CDI_DIRS": str(tmp_path / "cdi")}, tmp_path / "version")
        return {check.name: check for check in checks}

    return report


def test_a_machine_without_any(examine):
    found = examine()
    assert [check.ok for check in found.values()] == [False, False]
    assert "nvidia-ctk cdi generate" in found["--gpus all"].remedy


def test_devices_that_are_there_and_one_that_is_not(examine):
    found = examine(CLOSED, a="/dev/null", b="/dev/not-there")
    assert found["NVIDIA driver"][1:3] == (True, "535.104.05")
    assert found["--gpus all"].found == "nvidia.com/gpu=a, nvidia.com/gpu=b"
    assert found["nvidia.com/gpu=a"][1:3] == (True, "/dev/nvidia0, 1 mount")
    assert (found["nvidia.com/gpu=b"].ok, "/dev/not-there" in found["nvidia.com/gpu=b"].found) == (
        False,
        True,
    )


def test_a_specification_of_another_driver_is_stale(examine):
    found = examine(OPEN, a="/dev/null")["nvidia.com/gpu=a"]
    assert (found.ok, found.found) == (
        False, "its specification is for the driver 535.104.05, and 545.23.08 is loaded",
    )  # fmt: skip


def test_a_file_that_is_no_specification(examine, tmp_path):
    (tmp_path / "cdi").mkdir()
    (tmp_path / "cdi" / "x.json").write_text("{")
    assert "x.json" in examine()["CDI specification"].found

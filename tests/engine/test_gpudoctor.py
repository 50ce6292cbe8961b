"""What the doctor says of accelerators, on machines that are made up."""

import json

import pytest
from tests.suites.driver import CLOSED, OPEN, VERSION, Driver, whole

from tiffin.engine.gpudoctor import examine_gpus


@pytest.fixture
def examine(tmp_path):
    def report(driver=None, **devices):
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
        root = driver.root if driver else tmp_path / "none"
        environ = {"TIFFIN_CDI_DIRS": str(tmp_path / "cdi"), "TIFFIN_DRIVER_ROOT": str(root)}
        checks = examine_gpus(environ)
        return {check.name: check for check in checks}

    return report


def test_a_machine_without_any(examine):
    found = examine()
    assert [check.ok for check in found.values()] == [False, False]
    assert "tiffin doctor --gpu" in found["--gpus all"].remedy


def test_devices_that_are_there_and_one_that_is_not(examine, tmp_path):
    found = examine(Driver(tmp_path / "root", words=CLOSED), a="/dev/null", b="/dev/not-there")
    assert found["NVIDIA driver"][1:3] == (True, "535.104.05")
    assert found["--gpus all"].found == "nvidia.com/gpu=a, nvidia.com/gpu=b"
    assert found["nvidia.com/gpu=a"][1:3] == (True, "/dev/nvidia0, 1 mount")
    assert (found["nvidia.com/gpu=b"].ok, "/dev/not-there" in found["nvidia.com/gpu=b"].found) == (
        False,
        True,
    )


def test_a_specification_of_another_driver_is_stale(examine, tmp_path):
    checks = examine(Driver(tmp_path / "root", "545.23.08", words=OPEN), a="/dev/null")
    assert (checks["NVIDIA libraries"].ok, "no libcuda.so" in checks["NVIDIA libraries"].found) == (
        False,
        True,
    )
    found = checks["nvidia.com/gpu=a"]
    assert (found.ok, found.found) == (
        False, "its specification is for the driver 535.104.05, and 545.23.08 is loaded",
    )  # fmt: skip


def test_a_driver_without_a_specification_and_with_a_stale_one(examine, tmp_path):
    found = examine(whole(tmp_path / "root"))
    assert all(check.ok for check in found.values())
    assert found["NVIDIA libraries"].found == "7 in /usr/lib/x86_64-linux-gnu"
    assert found["--gpus all"].found == "nvidia.com/gpu=all"
    assert found["nvidia.com/gpu=0"].found.endswith(f"; of the loaded driver {VERSION}")
    newer = whole(tmp_path / "newer")
    newer.version = "545.23.08"
    newer.write("/proc/driver/nvidia/version", OPEN.format(newer.version))
    newer.libraries("/usr/lib64")
    found = examine(newer, a="/dev/null")
    assert "is for the driver 535.104.05, and 545.23.08 is loaded" in found["CDI specification"].found
    assert found["NVIDIA libraries"].found == "7 in /usr/lib64"
    assert "nvidia.com/gpu=a" not in found
    assert found["nvidia.com/gpu=all"].ok


def test_a_file_that_is_no_specification(examine, tmp_path):
    (tmp_path / "cdi").mkdir()
    (tmp_path / "cdi" / "x.json").write_text("{")
    assert "x.json" in examine()["CDI specification"].found

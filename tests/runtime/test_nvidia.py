"""NVIDIA's driver without a CDI specification, on machines that are made up."""

import json

import pytest
from tests.suites.driver import OPEN, UUID, VERSION, Driver, library, mounted, whole

from tiffin.errors import InvalidError, UnsupportedError
from tiffin.linux import ldcache
from tiffin.runtime import nvidia
from tiffin.runtime.cdifiles import check_devices, read_catalogue
from tiffin.runtime.gpu import edits_of
from tiffin.runtime.libraries import FindLibraries
from tiffin.runtime.nvidiafiles import find_installation, loaded_version

MULTIARCH = "/usr/lib/x86_64-linux-gnu"


@pytest.fixture
def driver(tmp_path):
    return whole(tmp_path / "root")


def found(root):
    return find_installation(str(root), "x86_64")


def test_the_version_that_is_loaded(tmp_path):
    assert loaded_version(str(tmp_path)) == ""
    assert loaded_version(str(Driver(tmp_path / "a").root)) == VERSION
    assert loaded_version(str(Driver(tmp_path / "b", "545.23.08", words=OPEN).root)) == "545.23.08"


def test_gpus_are_in_the_order_of_the_bus_by_number_and_by_id(driver):
    specification = nvidia.specification(found(driver.root))
    nodes = {
        device.name: [node.path for node in device.container_edits.device_nodes]
        for device in specification.devices
    }
    assert nodes == {
        "0": ["/dev/nvidia1"],
        UUID.format(0): ["/dev/nvidia1"],
        "1": ["/dev/nvidia0"],
        UUID.format(1): ["/dev/nvidia0"],
        "all": ["/dev/nvidia1", "/dev/nvidia0"],
    }
    control = specification.container_edits.device_nodes
    assert [node.path for node in control] == ["/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools"]
    assert control[0].host_path == f"{driver.root}/dev/nvidiactl"


@pytest.mark.parametrize(
    ("words", "libraries"),
    [
        ("", "cuda gpucomp ml ptxjitcompiler smi"),
        ("compute", "cuda gpucomp ptxjitcompiler"),
        ("utility,gpu,nvidia", "gpucomp ml smi"),
        ("video", "gpucomp nvcuvid"),
        ("graphics", "GLX_nvidia glcore gpucomp"),
        ("all", "GLX_nvidia cuda glcore gpucomp ml nvcuvid ptxjitcompiler smi"),
    ],
)
def test_what_is_asked_for_is_given(driver, words, libraries):
    edits = nvidia.specification(found(driver.root), nvidia.abilities(words.split(","))).container_edits
    names = [name.removeprefix("lib").removeprefix("nvidia-").partition(".")[0] for name in mounted(edits)]
    assert sorted(names) == sorted(libraries.split())


def test_a_display_is_for_who_asks(driver):
    driver.write("/dev/dri/renderD128")
    driver.link("/dev/dri/by-path/pci-0000:3b:00.0-render", "../renderD128")
    driver.link("/dev/dri/by-path/pci-0000:3b:00.0-card", "../card9")  # which is not there
    for words, nodes in (("compute", []), ("display", ["/dev/dri/renderD128"])):
        made = nvidia.specification(found(driver.root), nvidia.abilities([words]))
        assert [node.path for node in made.devices[0].container_edits.device_nodes][1:] == nodes
        control = [node.path for node in made.container_edits.device_nodes]
        assert ("/dev/nvidia-modeset" in control) == bool(nodes)


@pytest.mark.parametrize("word", ["compat32", "computer"])
def test_abilities_that_there_are_not(word):
    with pytest.raises((InvalidError, UnsupportedError), match=word) as caught:
        nvidia.abilities([word])
    assert caught.value.hint


def debian(driver):
    """Debian's own packages: everything in a folder of its own, reached by two links."""
    folder = f"{MULTIARCH}/nvidia/current"
    driver.libraries(folder)
    driver.link(f"{MULTIARCH}/libcuda.so.1", "/etc/alternatives/glx--libcuda.so.1")
    driver.link("/etc/alternatives/glx--libcuda.so.1", f"{folder}/libcuda.so.1")
    driver.cache(libcuda=f"{MULTIARCH}/libcuda.so.1")
    return folder


def fedora(driver):
    driver.libraries("/usr/lib64")
    driver.link("/lib64", "usr/lib64")
    driver.cache(libcuda="/lib64/libcuda.so.1")
    return "/usr/lib64"


def kubernetes(driver):
    """Google's: beside the system, and in no cache."""
    driver.libraries("/home/kubernetes/bin/nvidia/lib64")
    return "/home/kubernetes/bin/nvidia/lib64"


def odd(driver):
    """A place that only the cache tells of."""
    driver.libraries("/srv/driver")
    driver.cache(libcuda="/srv/driver/libcuda.so.1")
    return "/srv/driver"


def updated(driver):
    """Files of the driver before are still there, and the cache is of then; what is loaded counts."""
    Driver(driver.root.parent / "old", "525.60.13")
    for name in ("libcuda", "libnvidia-ml"):
        driver.write(f"/usr/lib64/{name}.so.525.60.13", library(f"{name}.so.1"))
    driver.link("/usr/lib64/libcuda.so.1", "libcuda.so.525.60.13")
    driver.cache(libcuda="/usr/lib64/libcuda.so.1")
    driver.libraries("/usr/lib/nvidia")
    return "/usr/lib/nvidia"


def broken_cache(driver):
    driver.write("/etc/ld.so.cache", b"ld.so-1.7.0" + b"\xff" * 100)
    driver.libraries("/usr/lib64")
    driver.write("/usr/lib/libcuda.so.535.104.05", library("libcuda.so.1", machine=3))  # of another machine
    return "/usr/lib64"


@pytest.mark.parametrize("layout", [debian, fedora, kubernetes, odd, updated, broken_cache])
def test_libraries_are_found_wherever_a_distribution_puts_them(tmp_path, layout):
    driver = Driver(tmp_path / "root")
    driver.gpu(0, 0, "01")
    folder = layout(driver)
    libraries = found(driver.root).libraries
    assert {each.path.rpartition("/")[0] for each in libraries} == {folder}
    assert {each.path.rpartition(".so.")[2] for each in libraries} == {VERSION}
    assert len(libraries) == 7


@pytest.mark.parametrize("missing", ["driver", "libraries", "loop"])
def test_an_installation_that_is_not_there_or_not_whole(tmp_path, missing):
    driver = Driver(tmp_path / "root")
    if missing == "driver":
        (driver.root / "proc/driver/nvidia/version").unlink()
        driver.libraries(MULTIARCH)
    if missing == "loop":
        driver.cache(libcuda="/a")
        driver.link("/a", "/b")
        driver.link("/b", "a")
    assert found(driver.root) is None


def test_links_never_lead_out_of_the_root_of_the_driver(tmp_path):
    driver = Driver(tmp_path / "root")
    outside = Driver(tmp_path / "outside")
    outside.libraries("/lib")
    driver.link("/srv", f"../../../../..{outside.root}/lib")
    driver.cache(libcuda=f"/srv/libcuda.so.{VERSION}")
    assert found(driver.root) is None


def test_parts_of_a_gpu(driver):
    driver.part(1, 10, 0, (30, 31))
    driver.part(1, 2, 0, (21, 22))
    made = nvidia.specification(found(driver.root))
    nodes = {
        device.name: [node.path for node in device.container_edits.device_nodes] for device in made.devices
    }
    caps = "/dev/nvidia-caps/nvidia-cap"
    assert nodes["0:0"] == ["/dev/nvidia1", f"{caps}21", f"{caps}22"]
    assert nodes["0:1"] == ["/dev/nvidia1", f"{caps}30", f"{caps}31"]
    assert set(nodes["0:1"]) < set(nodes["all"])


def test_firmware_sockets_and_programs_behind_links(driver):
    driver.write(f"/lib/firmware/nvidia/{VERSION}/gsp_tu10x.bin")
    driver.write("/run/nvidia-persistenced/socket")
    driver.write("/usr/lib/nvidia/current/nvidia-debugdump", "", 0o755)
    driver.link("/usr/bin/nvidia-debugdump", "/etc/alternatives/nvidia--debugdump")
    driver.link("/etc/alternatives/nvidia--debugdump", "/usr/lib/nvidia/current/nvidia-debugdump")
    edits = nvidia.specification(found(driver.root)).container_edits
    where = {mount.container_path: mount.host_path.removeprefix(str(driver.root)) for mount in edits.mounts}
    assert where["/usr/bin/nvidia-debugdump"] == "/usr/lib/nvidia/current/nvidia-debugdump"
    assert f"/lib/firmware/nvidia/{VERSION}/gsp_tu10x.bin" in where
    assert "/run/nvidia-persistenced/socket" in where


def test_the_links_and_names_that_programs_ask_for(driver):
    (hook,) = nvidia.specification(found(driver.root)).container_edits.hooks
    todo = FindLibraries.from_text(hook.args[-1])
    assert dict(todo.links)[f"{MULTIARCH}/libcuda.so.1"] == f"libcuda.so.{VERSION}"
    assert dict(todo.links)[f"{MULTIARCH}/libcuda.so"] == "libcuda.so.1"
    assert f"{MULTIARCH}/libnvidia-gpucomp.so.{VERSION}" not in dict(todo.links)
    assert dict(todo.names)["libnvidia-ml.so.1"] == f"{MULTIARCH}/libnvidia-ml.so.1"
    assert todo.flags == ldcache.FLAGS["x86_64"]


def test_what_is_made_is_on_this_machine(driver):
    catalogue = read_catalogue({"TIFFIN_CDI_DIRS": "/nowhere", "TIFFIN_DRIVER_ROOT": str(driver.root)}, print)
    assert catalogue.names == sorted(
        f"nvidia.com/gpu={name}" for name in ("0", "1", "all", UUID.format(0), UUID.format(1))
    )
    check_devices(edits_of(catalogue.find("nvidia.com/gpu=all")))


@pytest.mark.parametrize(
    ("versions", "names", "told"),
    [
        ([], {"0", "1", "all"}, []),
        (["525.60.13"], {"0", "1", "all"}, ["525.60.13"]),
        ([VERSION], {"own"}, []),
        (["525.60.13", VERSION], {"own"}, []),
        ([""], {"own"}, []),
    ],
)
def test_a_specification_counts_as_long_as_it_is_for_the_loaded_driver(
    driver, tmp_path, versions, names, told
):
    (tmp_path / "cdi").mkdir()
    for number, version in enumerate(versions):
        path = f"/usr/lib/libcuda.so.{version}" if version else "/usr/lib/libother.so"
        document = {
            "cdiVersion": "0.6.0",
            "kind": "nvidia.com/gpu",
            "containerEdits": {"mounts": [{"hostPath": path, "containerPath": path}]},
            "devices": [{"name": "own" if version in ("", VERSION) else "stale"}],
        }
        (tmp_path / "cdi" / f"{number}.json").write_text(json.dumps(document))
    heard = []
    environ = {"TIFFIN_CDI_DIRS": str(tmp_path / "cdi"), "TIFFIN_DRIVER_ROOT": str(driver.root)}
    found = {name.partition("=")[2] for name in read_catalogue(environ, heard.append).names}
    assert {name for name in found if not name.startswith("GPU-")} == names
    assert len(heard) == len(told)
    assert all(version in text for version, text in zip(told, heard, strict=True))


def test_a_stale_specification_is_better_than_none(tmp_path):
    driver = Driver(tmp_path / "root")  # loaded, and no library of it is here
    (tmp_path / "cdi").mkdir()
    mount = {"hostPath": "/usr/lib/libcuda.so.525.60.13", "containerPath": "/x"}
    document = {"cdiVersion": "0.6.0", "kind": "nvidia.com/gpu", "devices": [{"name": "old"}]}
    (tmp_path / "cdi/x.json").write_text(json.dumps({**document, "containerEdits": {"mounts": [mount]}}))
    environ = {"TIFFIN_CDI_DIRS": str(tmp_path / "cdi"), "TIFFIN_DRIVER_ROOT": str(driver.root)}
    assert read_catalogue(environ, print).names == ["nvidia.com/gpu=old"]

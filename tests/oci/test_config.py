import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiffin.errors import CorruptError
from tiffin.oci.codec import decode, encode
from tiffin.oci.config import ContainerConfig, Healthcheck, History, ImageConfig, RootFS, key_set
from tiffin.oci.digest import DiffID, chain_id
from tiffin.oci.platform import Platform

ONE, TWO = (DiffID.of(data) for data in (b"1", b"2"))

# As Docker writes it: with nulls, with fields of its own.
DOCKER = {
    "architecture": "arm64",
    "variant": "v8",
    "config": {
        "Hostname": "",
        "AttachStdin": False,
        "User": "app",
        "ExposedPorts": {"8000/tcp": {}, "53/udp": {}},
        "Env": ["PATH=/usr/bin", "B=2", "A=1=1"],
        "Cmd": ["/bin/sh", "-c", "serve"],
        "Healthcheck": {
            "Test": ["CMD-SHELL", "curl -f localhost"],
            "Interval": 5000000000,
            "Timeout": 3000000000,
            "StartPeriod": 1,
            "StartInterval": 2,
            "Retries": 3,
        },
        "ArgsEscaped": True,
        "Image": "sha256:1234",
        "Volumes": {"/data": {}},
        "WorkingDir": "/app",
        "Entrypoint": None,
        "OnBuild": ["RUN make"],
        "Labels": {"b": "2", "a": "1"},
        "StopSignal": "SIGINT",
        "StopTimeout": 7,
        "Shell": ["/bin/bash", "-c"],
    },
    "container": "0" * 64,
    "container_config": {"Cmd": ["x"]},
    "created": "2024-02-06T12:00:00.123456789Z",
    "docker_version": "20.10.23",
    "history": [
        {"created": "2024-02-06T12:00:00Z", "created_by": "ADD file", "comment": "c", "author": "a"},
        {"created_by": "CMD serve", "empty_layer": True},
    ],
    "os": "linux",
    "rootfs": {"type": "layers", "diff_ids": [ONE, TWO]},
    "moby.buildkit.cache.v0": "x",
}


def read(document):
    return decode(json.dumps(document).encode(), ImageConfig, "the config")


def test_docker_s_config_is_read_whole():
    config = read(DOCKER)
    assert config.platform == Platform("linux", "arm64", "v8")
    assert config.created == "2024-02-06T12:00:00.123456789Z"
    assert config.rootfs == RootFS((ONE, TWO))
    assert config.rootfs.chain[-1] == chain_id([ONE, TWO])
    assert config.history[0] == History("2024-02-06T12:00:00Z", "ADD file", "c", "a")
    assert config.history[1].empty_layer
    assert config.config == ContainerConfig(
        user="app",
        exposed_ports=key_set(["53/udp", "8000/tcp"]),
        env=("PATH=/usr/bin", "B=2", "A=1=1"),
        entrypoint=None,
        cmd=("/bin/sh", "-c", "serve"),
        volumes=key_set(["/data"]),
        working_dir="/app",
        labels={"a": "1", "b": "2"},
        stop_signal="SIGINT",
        stop_timeout=7,
        healthcheck=Healthcheck(("CMD-SHELL", "curl -f localhost"), 5 * 10**9, 3 * 10**9, 1, 2, 3),
        shell=("/bin/bash", "-c"),
        on_build=("RUN make",),
        args_escaped=True,
    )


def test_what_is_written_back_means_the_same_to_docker():
    written = json.loads(encode(read(DOCKER)))
    kept = {key: value for key, value in DOCKER["config"].items() if value not in (None, "", False)}
    del kept["Image"]
    assert written["config"] == kept
    for field in ("architecture", "variant", "os", "created", "history", "rootfs"):
        assert written[field] == DOCKER[field]
    assert set(written) == {"architecture", "variant", "os", "created", "history", "rootfs", "config"}


def test_the_order_of_variables_is_kept_and_maps_are_sorted():
    data = encode(read(DOCKER)).decode()
    assert '"Env":["PATH=/usr/bin","B=2","A=1=1"]' in data
    assert '"ExposedPorts":{"53/udp":{},"8000/tcp":{}}' in data
    assert '"Labels":{"a":"1","b":"2"}' in data


def test_variables_are_read_as_a_map():
    env = ("A=1", "B=x=y", "A=2", "C")
    assert ContainerConfig(env=env).environment() == {"A": "2", "B": "x=y", "C": ""}
    assert list(ContainerConfig(env=env).environment()) == ["A", "B", "C"]


def test_what_is_empty_is_not_written():
    config = ImageConfig("amd64", "linux", config=ContainerConfig(entrypoint=(), cmd=(), labels={}))
    assert json.loads(encode(config)) == {
        "architecture": "amd64",
        "os": "linux",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": []},
    }


def test_an_empty_command_is_none():
    assert ContainerConfig(entrypoint=(), cmd=(), shell=()) == ContainerConfig()
    assert read({**DOCKER, "config": {"Cmd": []}}).config.cmd is None


def test_nulls_are_absent():
    config = read(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": None,
            "rootfs": {"diff_ids": None},
            "history": None,
        }
    )
    assert config == ImageConfig("amd64", "linux")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"config": {"Env": "A=1"}}, "field config.Env: Expected `array`"),
        ({"config": {"Env": [1]}}, r"field config.Env\[0\]"),
        ({"config": {"Cmd": "serve"}}, "field config.Cmd"),
        ({"config": {"Labels": {"a": 1}}}, r"field config.Labels"),
        ({"config": {"Healthcheck": {"Interval": "5s"}}}, "field config.Healthcheck.Interval"),
        ({"rootfs": {"type": "layers", "diff_ids": ["x"]}}, r"field rootfs.diff_ids\[0\]: digest 'x'"),
        ({"history": [{"empty_layer": "yes"}]}, r"field history\[0\].empty_layer"),
        ({"os": 7}, "field os"),
    ],
)
def test_a_bad_config_names_the_field(change, says):
    with pytest.raises(CorruptError, match=says):
        read({**DOCKER, **change})


words = st.text(max_size=8)
names = st.lists(words, max_size=3)
commands = st.none() | st.lists(words, max_size=3).map(tuple)
durations = st.integers(0, 2**62)
configs = st.builds(
    ImageConfig,
    words,
    words,
    words,
    words,
    words,
    st.builds(
        ContainerConfig,
        user=words,
        exposed_ports=names.map(key_set),
        env=names.map(tuple),
        entrypoint=commands,
        cmd=commands,
        volumes=names.map(key_set),
        working_dir=words,
        labels=st.dictionaries(words, words, max_size=3),
        stop_signal=words,
        stop_timeout=st.none() | st.integers(0, 100),
        healthcheck=st.none()
        | st.builds(Healthcheck, names.map(tuple), durations, durations, durations, durations, durations),
        shell=commands,
        on_build=names.map(tuple),
        args_escaped=st.booleans(),
    ),
    st.builds(RootFS, st.lists(st.binary().map(DiffID.of), max_size=3).map(tuple)),
    st.lists(st.builds(History, words, words, words, words, st.booleans()), max_size=3).map(tuple),
)


@given(configs)
def test_a_config_survives_the_wire(config):
    data = encode(config)
    again = decode(data, ImageConfig, "config")
    assert again == config
    assert encode(again) == data

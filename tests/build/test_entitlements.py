"""What a Dockerfile may do only with the user's word."""

import pytest

from tiffin.build.entitlements import Entitlements, check_entitlements, parse_entitlements
from tiffin.build.graph import BaseImage
from tiffin.build.plan import PlanRequest, plan
from tiffin.dockerfile.parser import parse
from tiffin.errors import DeniedError, InvalidError
from tiffin.oci.config import ImageConfig
from tiffin.oci.platform import Platform

HOST = Platform.parse("linux/amd64")


def graph(text):
    image = BaseImage("plain", ImageConfig("amd64", "linux"), ())
    return plan(parse(text), PlanRequest(HOST), lambda *_: image)


@pytest.mark.parametrize(
    ("line", "name"),
    [("RUN --network=host true", "network.host"), ("RUN --security=insecure true", "security.insecure")],
)
def test_it_needs_an_entitlement(line, name):
    asked = graph(f"FROM plain\nRUN true\n{line}\n")
    with pytest.raises(DeniedError, match=name) as caught:
        check_entitlements(asked, Entitlements())
    assert caught.value.where.line == 3
    assert f"--allow {name}" in caught.value.hint
    check_entitlements(asked, parse_entitlements([name]))
    others = {"network.host", "security.insecure"} - {name}
    with pytest.raises(DeniedError):
        check_entitlements(asked, parse_entitlements(others))


def test_what_asks_for_less_needs_none():
    flags = ("--network=none", "--network=default", "--security=sandbox")
    check_entitlements(
        graph("FROM plain\n" + "".join(f"RUN {flag} true\n" for flag in flags)), Entitlements()
    )


def test_stages_that_are_not_needed_need_nothing():
    text = "FROM plain AS unused\nRUN --security=insecure true\nFROM plain\nRUN true\n"
    check_entitlements(graph(text), Entitlements())


def test_the_network_of_this_machine_for_all_steps_grants_it():
    asked = graph("FROM plain\nRUN --network=host true\n")
    check_entitlements(asked, Entitlements(), "host")
    with pytest.raises(DeniedError):
        check_entitlements(asked, Entitlements(), "none")


@pytest.mark.parametrize(
    ("granted", "enough"),
    [
        ("device", True),
        ("device=acme.com/gpu=0", True),
        ("device=acme.com/gpu", True),
        ("device=acme.com/gpu=1", False),
        ("device=acme.com/tpu", False),
        ("network.host", False),
    ],
)
def test_devices_are_granted_all_by_kind_or_one(granted, enough):
    asked = graph("FROM plain\nRUN --device=acme.com/gpu=0 true\n")
    if enough:
        check_entitlements(asked, parse_entitlements([granted]))
        return
    with pytest.raises(DeniedError) as caught:
        check_entitlements(asked, parse_entitlements([granted]))
    assert "--allow device=acme.com/gpu=0" in caught.value.hint


def test_there_are_no_others():
    with pytest.raises(InvalidError, match=r"--allow security: .*no such"):
        parse_entitlements(["network.host", "security"])
    with pytest.raises(InvalidError, match="no such"):
        parse_entitlements(["device="])

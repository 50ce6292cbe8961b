import pytest

from tiffin.errors import DeniedError
from tiffin.registry.hosts import Endpoint, Hosts, Mirror, Rule, is_loopback, split_port


def hosts_of(endpoints):
    return [(endpoint.host, endpoint.repository) for endpoint in endpoints]


def test_docker_hub_is_asked_under_its_own_host_and_logged_in_to_by_its_name():
    found = Hosts().endpoint("docker.io", "library/python")
    assert found == Endpoint("registry-1.docker.io", "library/python", "docker.io", ("https",), verify=True)


@pytest.mark.parametrize(
    ("registry", "schemes", "verify"),
    [
        ("registry.example.org", ("https",), True),
        ("registry.example.org:5000", ("https",), True),
        ("10.1.2.3", ("https",), True),
        ("localhost:5000", ("https", "http"), False),
        ("127.9.9.9:80", ("https", "http"), False),
        ("[::1]:5000", ("https", "http"), False),
        ("localhost.example.org", ("https",), True),
        ("127.0.0.1.example.org", ("https",), True),
    ],
)
def test_only_this_machine_may_be_asked_without_tls(registry, schemes, verify):
    found = Hosts().endpoint(registry, "a")
    assert (found.schemes, found.verify) == (schemes, verify)


@pytest.mark.parametrize(
    ("entry", "registry", "expected"),
    [
        ("reg.example.org", "reg.example.org", True),
        ("reg.example.org", "reg.example.org:5000", True),
        ("reg.example.org:5000", "reg.example.org:5000", True),
        ("reg.example.org:5000", "reg.example.org", False),
        ("reg.example.org", "other.example.org", False),
        ("10.0.0.0/8", "10.1.2.3:5000", True),
        ("10.0.0.0/8", "11.1.2.3:5000", False),
        ("fd00::/8", "[fd12::1]:5000", True),
    ],
)
def test_insecure_registries_are_named_by_host_or_network(entry, registry, expected):
    found = Hosts(insecure=(entry,)).endpoint(registry, "a")
    assert (found.schemes == ("https", "http")) is expected


MIRRORED = Hosts(
    (
        Rule("docker.io", mirrors=(Mirror("mirror.example.org/hub"), Mirror("second.example.org"))),
        Rule("quay.io", mirrors=(Mirror("digests.example.org", use="digest"),)),
    )
)


def test_mirrors_come_first_and_the_registry_itself_last():
    found = MIRRORED.pull_endpoints("docker.io", "library/python", by_digest=False)
    assert hosts_of(found) == [
        ("mirror.example.org", "hub/library/python"),
        ("second.example.org", "library/python"),
        ("registry-1.docker.io", "library/python"),
    ]
    assert [endpoint.mirror for endpoint in found] == [True, True, False]
    assert [endpoint.login for endpoint in found] == ["mirror.example.org", "second.example.org", "docker.io"]


def test_nothing_is_pushed_to_a_mirror():
    assert MIRRORED.endpoint("docker.io", "me/x").host == "registry-1.docker.io"


def test_a_mirror_for_digests_is_not_asked_for_tags():
    assert hosts_of(MIRRORED.pull_endpoints("quay.io", "a/b", by_digest=False)) == [("quay.io", "a/b")]
    assert hosts_of(MIRRORED.pull_endpoints("quay.io", "a/b", by_digest=True)) == [
        ("digests.example.org", "a/b"),
        ("quay.io", "a/b"),
    ]


# The table in containers-registries.conf(5), "Remapping and mirroring registries".
@pytest.mark.parametrize(
    ("rule", "name", "expected"),
    [
        (
            Rule("example.com/foo", "internal.example.org/bar"),
            "example.com/foo/x",
            "internal.example.org/bar/x",
        ),
        (Rule("example.com/foo", "internal.example.org/bar"), "example.com/foo", "internal.example.org/bar"),
        (Rule("example.com/foo", "internal.example.org/bar"), "example.com/foobar", "example.com/foobar"),
        (Rule("*.example.com", "internal.example.org/all"), "a.example.com/x", "internal.example.org/all/x"),
        (Rule("*.example.com", "internal.example.org/all"), "example.com/x", "example.com/x"),
        (Rule("*.example.com", "internal.example.org"), "a.example.com:5000/x", "internal.example.org/x"),
    ],
)
def test_a_rule_moves_what_lies_below_its_prefix(rule, name, expected):
    registry, _, repository = name.partition("/")
    found = Hosts((rule,)).endpoint(registry, repository)
    assert f"{found.host}/{found.repository}" == expected


def test_the_most_exact_rule_of_a_file_counts_alone():
    rules = (
        Rule("example.com", mirrors=(Mirror("far.example.org"),), origin="f"),
        Rule("example.com/near", mirrors=(Mirror("near.example.org"),), origin="f"),
    )
    found = Hosts(rules).pull_endpoints("example.com", "near/x", by_digest=False)
    assert hosts_of(found) == [("near.example.org", "x"), ("example.com", "near/x")]


def test_a_blocked_registry_is_refused_with_the_file_that_says_so():
    hosts = Hosts((Rule("bad.example.org", blocked=True, origin="/etc/containers/registries.conf"),))
    with pytest.raises(DeniedError, match=r"/etc/containers/registries.conf blocks bad.example.org"):
        hosts.endpoint("bad.example.org", "x")
    assert hosts.endpoint("good.example.org", "x")


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("a", ("a", None)),
        ("a:1", ("a", 1)),
        ("[::1]", ("::1", None)),
        ("[::1]:5000", ("::1", 5000)),
        ("::1", ("::1", None)),
        ("a:", ("a:", None)),
    ],
)
def test_hosts_and_ports_are_told_apart(host, expected):
    assert split_port(host) == expected


@pytest.mark.parametrize(
    ("host", "expected"), [("localhost", True), ("LOCALHOST:1", True), ("::1", True), ("128.0.0.1", False)]
)
def test_this_machine_is_known_by_its_names(host, expected):
    assert is_loopback(host) is expected

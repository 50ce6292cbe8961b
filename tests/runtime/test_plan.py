"""From the runtime spec to steps: order, namespaces, and what is refused."""

import json

import msgspec
import pytest

from tiffin.errors import InvalidError, UnsupportedError
from tiffin.linux import namespace
from tiffin.linux.namespace import IdMap
from tiffin.oci.config import ContainerConfig
from tiffin.oci.runtimespec import Linux, Mount, Namespace, Process, Rlimit, Root, RuntimeSpec, User
from tiffin.runtime import model, roots, steps
from tiffin.runtime.model import Join, Rootfs, Source, UserMap
from tiffin.runtime.plan import make_plan, mount_targets
from tiffin.runtime.rare_steps import MountHierarchies, show_hierarchies
from tiffin.runtime.spec import Options, Place, make_spec
from tiffin.runtime.users import User as Resolved

IDS = (IdMap(0, 100000, 65536),)
PLACE = Place("x86_64", (6, 1), 8 << 30, UserMap(IDS, IDS), IDS)
ROOTFS = Rootfs(("/l2", "/l1"), "/w/upper", "/w/work")
PROCESS = Process(User(0, 0), "/", ("true",))


def plan(rootfs=ROOTFS, place=PLACE, outlive=False, **options):
    spec = make_spec(ContainerConfig(cmd=("sh",)), Resolved(0, 0), Options(**options), place)
    return make_plan(spec, rootfs, machine="x86_64", outlive=outlive)


def of(plan, kind):
    return [step for step in plan.steps if isinstance(step, kind)]


def test_on_the_rung_root_layers_are_mapped():
    made = plan()
    assert made.uid_maps == made.gid_maps == IDS
    assert made.namespaces & namespace.NEWUSER
    assert made.sources == (Source("/l2", idmap=True), Source("/l1", idmap=True), Source("/w", idmap=True))
    assert of(made, roots.OverlayRoot) == [roots.OverlayRoot((0, 1), 2, "upper", "work", volatile=False)]


def test_in_a_namespace_already_nothing_is_mapped():
    made = plan(place=PLACE._replace(users=UserMap()))
    assert made.uid_maps == ()
    assert not made.namespaces & namespace.NEWUSER
    assert not any(source.idmap for source in made.sources)


@pytest.mark.parametrize(
    ("rootfs", "step"),
    [
        (Rootfs(("/l",)), roots.BindRoot(0, readonly=True)),
        (Rootfs(("/a", "/b")), roots.OverlayRoot((0, 1), -1, "", "", volatile=False)),
        (Rootfs(("/a", "/b", "/a", "/c")), roots.OverlayRoot((0, 1, 2), -1, "", "", volatile=False)),
        (Rootfs((), "/w/u", "/w/k"), roots.BindRoot(0, readonly=False)),
        (Rootfs(("/l",), "/w/u", "/w/k", volatile=True), roots.OverlayRoot((0,), 1, "u", "k", volatile=True)),
    ],
)
def test_the_kinds_of_roots(rootfs, step):
    assert plan(rootfs).steps[1] == step


@pytest.mark.parametrize("rootfs", [Rootfs(("/l",), "/a/upper", "/b/work"), Rootfs(("/l",), "/a/upper")])
def test_upper_and_work_belong_together(rootfs):
    with pytest.raises(InvalidError, match="not in one directory"):
        plan(rootfs)


def test_the_host_is_left_before_anything_is_mounted_for_good():
    names = [type(step).__name__ for step in plan().steps]
    pivot = names.index("Pivot")
    assert names[0] == "MakePrivate"
    assert {"Prepare", "OpenDevice"} <= set(names[:pivot])
    assert not {"Attach", "MountNew", "Bind", "Mask", "Sysctl"} & set(names[:pivot])
    after = names[pivot:]
    assert after.index("Sysctl") < after.index("Mask") < after.index("MakeReadonly")
    assert next(step for step in plan().steps[pivot + 1 :]) == steps.Attach("proc", "/proc")


def test_mounts_come_after_those_that_they_lie_in():
    inner = Mount("/data/a/b", "bind", "/x", ("rbind",))
    outer = Mount("/data", "bind", "/y", ("rbind", "ro", "idmap"))
    made = plan(mounts=(inner, outer))
    assert [(step.target, step.readonly) for step in of(made, steps.Bind)] == [
        ("/data", True),
        ("/data/a/b", False),
    ]
    assert made.sources[-2:] == (Source("/y", recursive=True, idmap=True), Source("/x", recursive=True))


def test_a_later_mount_replaces_an_earlier_one_of_the_same_target():
    made = plan(mounts=(Mount("/dev/shm", "bind", "/mine", ("bind",)),))
    assert "/dev/shm" in [step.target for step in of(made, steps.Bind)]
    assert "/dev/shm" not in [step.target for step in of(made, steps.MountNew)]


def test_options_of_mounts():
    made = plan(mounts=(Mount("/t", "tmpfs", "tmpfs", ("nosuid", "ro", "size=1m", "mode=700")),))
    assert steps.MountNew("tmpfs", "/t", 3, "size=1m,mode=700") in made.steps


def test_a_read_only_root_is_made_so_at_the_end():
    assert plan(readonly=True).steps[-1] == steps.ReadonlyRoot()
    assert not of(plan(), steps.ReadonlyRoot)


def test_namespaces_of_others_are_joined():
    made = plan(network="/proc/7/ns/net")
    assert made.joins == (Join("/proc/7/ns/net", namespace.NEWNET),)
    assert not made.namespaces & namespace.NEWNET


def test_the_hosts_name_is_not_changed():
    assert of(plan(hostname="h"), steps.Hostname) == [steps.Hostname("h")]
    assert not of(plan(hostname="h", uts="host"), steps.Hostname)
    assert of(plan(domainname="d"), steps.Domainname) == [steps.Domainname("d")]
    assert not of(plan(domainname="d", uts="host"), steps.Domainname)


def test_it_dies_with_its_launcher_unless_it_may_outlive_it():
    assert plan().process.death_signal == 9
    assert plan(outlive=True).process.death_signal == 0


def test_the_process():
    process = plan(rlimits=(Rlimit("RLIMIT_NOFILE", 1, 2),), oom_score_adj=5, cap_drop=("ALL",)).process
    assert process.rlimits == ((7, 1, 2),)
    assert process.oom_score == 5
    assert process.bounding == process.permitted == 0
    assert process.umask == 0o022
    assert len(process.seccomp) == 1
    assert plan(unconfined=True).process.seccomp == ()


@pytest.mark.parametrize(
    ("spec", "kind", "words"),
    [
        (RuntimeSpec(PROCESS, Root("r"), linux=Linux((Namespace("mind"),))), InvalidError, "mind"),
        (
            RuntimeSpec(PROCESS, Root("r"), linux=Linux((Namespace("mount", "/x"),))),
            UnsupportedError,
            "mount",
        ),
        (RuntimeSpec(PROCESS, Root("r"), mounts=(Mount("data", "bind", "/x"),)), InvalidError, "absolute"),
        (
            RuntimeSpec(msgspec.structs.replace(PROCESS, rlimits=(Rlimit("RLIMIT_X", 1, 1),)), Root("r")),
            InvalidError,
            "RLIMIT_X",
        ),
    ],
)
def test_what_cannot_be_planned_is_refused(spec, kind, words):
    with pytest.raises(kind, match=words):
        make_plan(spec, ROOTFS, machine="x86_64")


def test_a_plan_survives_packing():
    made = plan(mounts=(Mount("/data", "bind", "/y"),), network="/proc/7/ns/net", hostname="h", readonly=True)
    assert model.unpack(model.pack(made)) == made
    assert model.unpack_process(model.pack_process(made.process)) == made.process


def test_names_that_are_no_utf_8_survive_packing():
    made = plan(Rootfs(("/l\udcff",)))
    assert model.unpack(model.pack(made)).sources[0].path == "/l\udcff"


def test_a_plan_can_be_printed():
    made = plan(mounts=(Mount("/data", "bind", "/y"),))
    document = json.loads(json.dumps(model.document(made)))
    assert document["steps"][0] == {"step": "MakePrivate"}
    assert len(document["steps"]) == len(made.steps)
    assert document["process"]["args"] == ["sh"]
    phrases = made.describe()
    assert len(phrases) == len(made.steps) + len(made.late)
    assert "mount a volume on /data" in phrases
    assert all(phrase and phrase[0].islower() for phrase in phrases)


def test_targets_that_may_be_made_in_the_image():
    made = plan(mounts=(Mount("/etc/resolv.conf", "bind", "/y"), Mount("/run/x", "tmpfs", "tmpfs")))
    assert sorted(mount_targets(made)) == ["/dev", "/etc/resolv.conf", "/proc", "/run/x", "/sys"]


def test_cgroups_are_looked_at_when_the_process_is_in_them():
    made = plan(hide=("/sys/fs/cgroup/x", "/etc/y"), mounts=(Mount("/sys/fs/cgroup/own", "bind", "/y"),))
    assert not made.namespaces & namespace.NEWCGROUP
    assert [type(step) for step in made.late] == [steps.OwnCgroups, steps.MountNew, steps.Bind, steps.Mask]
    assert (made.late[1].kind, made.late[1].target) == ("cgroup2", "/sys/fs/cgroup")
    assert made.late[3] == steps.Mask(("/sys/fs/cgroup/x",))
    assert not any(getattr(step, "kind", "") == "cgroup2" for step in made.steps)
    assert steps.Make("/sys/fs/cgroup") in made.steps
    assert model.unpack(model.pack(made)) == made


def test_a_group_of_version_1_is_shown_hierarchy_by_hierarchy():
    late = show_hierarchies(plan().late, ("memory", "cpu"))
    assert late == (steps.OwnCgroups(), MountHierarchies("/sys/fs/cgroup", ("memory", "cpu")))
    assert "cgroups of memory, cpu" in late[1].describe()


def test_a_container_may_be_in_the_users_and_the_memory_of_another():
    spec = make_spec(ContainerConfig(cmd=("sh",)), Resolved(0, 0), Options(), PLACE)
    spaces = (Namespace("user", "/proc/7/ns/user"), Namespace("ipc", "/proc/7/ns/ipc"), Namespace("mount"))
    shared = Mount("/dev/shm", "bind", "/proc/7/root/dev/shm", ("bind",))
    linux = msgspec.structs.replace(spec.linux, namespaces=spaces)
    made = make_plan(msgspec.structs.replace(spec, linux=linux, mounts=(shared,)), ROOTFS, machine="x86_64")
    assert made.namespaces == namespace.NEWNS
    assert made.uid_maps == IDS
    assert made.joins == (
        Join("/proc/7/ns/user", namespace.NEWUSER),
        Join("/proc/7/ns/ipc", namespace.NEWIPC),
    )
    assert made.sources[-1] == Source("/dev/shm", within=7)
    assert model.unpack(model.pack(made)) == made

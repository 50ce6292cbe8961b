"""What a user changes of a container's confinement, seen from inside."""

import json

import pytest

pytestmark = pytest.mark.live

STATUS = "grep -E '^(CapEff|NoNewPrivs|Seccomp):' /proc/self/status | cut -f2"


def run(tiffin, *words, check=True):
    return tiffin("run", "--rm", "--network", "none", *words, check=check)


def test_privileged_has_all_rights_of_its_namespace_and_none_of_the_host(tiffin, busybox):
    script = f"{STATUS}; mkdir -p /m; mount -t tmpfs t /m && echo mounted; cat /proc/self/uid_map; "
    script += "mknod /dev/sda b 8 0 && cat /dev/sda; mknod /dev/z c 1 5; head -c 4 /dev/z > /z; "
    script += "[ -s /z ] && echo device; echo core > /proc/sys/kernel/core_pattern && echo written"
    done = run(tiffin, "--privileged", busybox, "sh", "-c", script, check=False)
    lines = done.stdout.split()
    assert set(lines[0].lstrip("0")) <= set("f137")  # every bit from the lowest to the last capability
    assert int(lines[0], 16).bit_count() > 35
    assert lines[1] == "0"
    assert "mounted" in lines
    assert not {"device", "written"} & set(lines)
    assert done.returncode != 0


def test_a_profile_of_the_user_decides_about_calls(tiffin, busybox, folder):
    profile = folder / "profile.json"
    denied = {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28}
    profile.write_text(json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [denied]}))
    done = run(tiffin, "--security-opt", f"seccomp={profile}", busybox, "mkdir", "/x", check=False)
    assert "No space left on device" in done.stderr
    profile.write_text(json.dumps({"defaultAction": "SCMP_ACT_ALLOW"}))  # it is read anew each time
    assert run(tiffin, "--security-opt", f"seccomp={profile}", busybox, "mkdir", "/x").returncode == 0


def test_parameters_hidden_paths_and_groups(tiffin, busybox):
    script = (
        "cat /proc/sys/net/ipv4/ip_forward; wc -c < /etc/passwd; grep NoNewPrivs /proc/self/status | cut -f2"
    )
    options = ("--sysctl", "net.ipv4.ip_forward=1", "--security-opt", "mask=/etc/passwd")
    options += ("--security-opt", "no-new-privileges:false")
    assert run(tiffin, *options, busybox, "sh", "-c", script).stdout.split() == ["1", "0", "0"]
    groups = run(tiffin, "--group-add", "7", busybox, "id", "-G")
    assert "7" in groups.stdout.split()

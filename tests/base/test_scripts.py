import pytest

from tiffin.base.scripts import Alternative, alternatives, unmet_work


def test_alternatives_that_are_spelled_out():
    script = """#!/bin/sh
if [ "$1" = configure ]; then
    update-alternatives --install /usr/bin/awk awk /usr/bin/mawk 5 \\
        --slave /usr/bin/nawk nawk /usr/bin/mawk \\
        --slave /usr/share/man/man1/awk.1.gz awk.1.gz /usr/share/man/man1/mawk.1.gz
fi
update-alternatives --quiet --install /usr/bin/vi vi /usr/bin/vim.tiny 15 || true
"""
    assert alternatives(script) == [
        Alternative(
            "/usr/bin/awk",
            "awk",
            "/usr/bin/mawk",
            5,
            (
                ("/usr/bin/nawk", "nawk", "/usr/bin/mawk"),
                ("/usr/share/man/man1/awk.1.gz", "awk.1.gz", "/usr/share/man/man1/mawk.1.gz"),
            ),
        ),
        Alternative("/usr/bin/vi", "vi", "/usr/bin/vim.tiny", 15),
    ]


@pytest.mark.parametrize(
    "script",
    [
        "update-alternatives --install /usr/bin/$name $name /usr/bin/x 5\n",
        "update-alternatives --remove awk /usr/bin/mawk\n",
        "update-alternatives --install /a a\n",
        "update-alternatives --install '/a a /b 5\n",
        "update-alternatives --install /a a /b high\n",
    ],
)
def test_what_cannot_be_read_is_left(script):
    assert alternatives(script) == []


def test_work_that_nobody_does():
    script = "if ! adduser --system x; then\n  setcap cap_net_raw+ep /bin/ping\nfi\n# useradd\necho adduser\n"
    assert unmet_work(script) == ["create users", "set capabilities"]
    assert unmet_work("#!/bin/sh\nldconfig\n") == []

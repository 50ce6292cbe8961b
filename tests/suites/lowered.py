"""Run a command as root of an ordinary container has it: Docker's capabilities and filter, no new namespaces.

    python -m tests.suites.lowered COMMAND...

What a default container of Docker refuses is refused here too, at a hundredth of the price: mounts,
namespaces, and all that takes SYS_ADMIN. The files are still those of the machine.
"""

import os
import sys

from tiffin.linux import bpf, capability
from tiffin.runtime.capabilities import DEFAULT
from tiffin.runtime.seccomp import Circumstances, choose, compile_filter, default_profile

KERNEL = (6, 1)


def lower(names=DEFAULT):
    """Take from this process what root of such a container has not."""
    machine = os.uname().machine
    rules = choose(default_profile(), Circumstances(machine, KERNEL, frozenset(names)))
    kept = capability.mask(capability.numbers(names))
    program = compile_filter(rules, machine)
    capability.limit_bounding_set(kept)
    bpf.install((program,))
    capability.set_capabilities(kept, kept, 0)


if __name__ == "__main__":
    lower()
    os.execvp(sys.argv[1], sys.argv[1:])

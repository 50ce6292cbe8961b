"""Sources of mounts that take more than a copy: a part of a directory, and trees that map owners in part.

Standard library only, for the launcher, which loads it where a container needs it.
"""

from __future__ import annotations

import errno
import os

from tiffin.linux import mount
from tiffin.linux.mountinfo import below, read_mounts
from tiffin.runtime.targets import resolve

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tiffin.runtime.model import Source


def open_part(source: Source) -> int:
    """Return a detached copy of what lies at the source's subpath. Raises NotFoundError if nothing does.

    Containers write what is there, so links lead no further than to the source itself.
    """
    whole = os.open(source.path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    part = -1
    try:
        part = resolve(whole, source.subpath)
        return mount.open_tree("", dir_fd=part, recursive=source.recursive)
    except (FileNotFoundError, NotADirectoryError) as error:
        from tiffin.errors import NotFoundError

        raise NotFoundError(
            f"there is no {source.subpath} in {source.path}, of which it was to be mounted",
            code="no-such-subpath",
            hint="make it first, by a container that mounts the whole",
            exit_status=125,
        ) from error
    finally:
        if part >= 0:
            os.close(part)
        os.close(whole)


def shift_what_can_be(source: Source, fd: int, users: int) -> None:
    """Map the owners in the copy `fd` and in those mounts below it whose file systems can; the rest stay.

    In a mount that stays, such as /proc, all owners are nobody's for the container. Raises OSError if the
    source itself is such a mount.
    """
    mount.mount_setattr(fd, mount.ATTR_IDMAP, userns_fd=users, what=source.path)
    for path in below(read_mounts(), os.path.realpath(source.path)):
        try:
            inner = resolve(fd, path, links=False)
        except OSError:
            continue  # hidden below another mount, or not for us
        try:
            mount.mount_setattr(inner, mount.ATTR_IDMAP, userns_fd=users, what=path)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.EPERM):
                raise
        finally:
            os.close(inner)

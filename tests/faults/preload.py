"""The library preload.c: it moves a program's clock, and holds up its disk, loop or look-ups."""

from __future__ import annotations

import shutil
import struct
import subprocess
import tempfile
from dataclasses import astuple, dataclass
from functools import cache
from pathlib import Path

SOURCE = Path(__file__).with_name("preload.c")
LIBRARY = "libfaults.so"
FOR_GOOD_S = 1e6
"""Until it is told otherwise."""


class NotPossibleError(Exception):
    """This machine lacks something that the experiment needs."""


@dataclass
class Switches:
    """What the library reads, in this order."""

    clock_offset_s: float = 0.0
    """By how much the wall clock is off."""
    fsync_s: float = 0.0
    """How long each fsync takes."""
    epoll_s: float = 0.0
    """How much longer each turn of the event loop takes."""
    lookup_s: float = 0.0
    """How much longer each look-up of a name takes."""


@cache
def build_library() -> Path:
    """Build the library. Raises `NotPossibleError` where there is no compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        raise NotPossibleError("needs a C compiler, cc (Debian, Ubuntu: gcc libc6-dev)")
    library = Path(tempfile.mkdtemp(prefix="auth0-check-faults-"), LIBRARY)
    subprocess.run(  # noqa: S603 - our own source
        [compiler, "-shared", "-fPIC", "-O2", "-o", str(library), str(SOURCE), "-ldl"],
        check=True,
    )
    return library


class Preload:
    """The switches of one program, in a file that the program maps."""

    def __init__(self, folder: Path) -> None:
        """Raise `NotPossibleError` where there is no compiler."""
        library, self._control = build_library(), folder / "faults.control"
        self._control.write_bytes(_pack(Switches()))
        self.environment = {"LD_PRELOAD": str(library), "FAULTS_CONTROL": str(self._control)}

    def set(self, **switches: float) -> None:
        """Set all switches, those that are not named to zero; what waits now follows."""
        with self._control.open("r+b") as file:  # in place: the program has mapped this file
            file.write(_pack(Switches(**switches)))


def _pack(switches: Switches) -> bytes:
    return struct.pack("4d", *astuple(switches))

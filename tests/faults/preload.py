"""The library that moves a program's clock and holds up its fsync: see preload.c."""

from __future__ import annotations

import math
import shutil
import struct
import subprocess
from pathlib import Path

SOURCE = Path(__file__).with_name("preload.c")
LIBRARY = "libfaults.so"
HANGING = 1e6
"""Seconds that a dead disk lets an fsync wait, or until it is told otherwise."""


class NotPossibleError(Exception):
    """This machine lacks something that the experiment needs."""


class Preload:
    """The switches of one program, in a file that the program maps."""

    def __init__(self, folder: Path) -> None:
        """Build the library. Raises `NotPossibleError` where there is no compiler."""
        compiler = shutil.which("cc")
        if compiler is None:
            raise NotPossibleError("needs a C compiler, cc (Debian, Ubuntu: gcc libc6-dev)")
        library, self._control = folder / LIBRARY, folder / "faults.control"
        subprocess.run(  # noqa: S603 - our own source
            [compiler, "-shared", "-fPIC", "-O2", "-o", str(library), str(SOURCE), "-ldl"],
            check=True,
        )
        self._offset_s = self._fsync_s = 0.0
        self._control.write_bytes(struct.pack("dd", 0.0, 0.0))
        self.environment = {"LD_PRELOAD": str(library), "FAULTS_CONTROL": str(self._control)}

    def set_clock(self, offset_s: float) -> None:
        """Let the wall clock be off by seconds."""
        self._offset_s = offset_s
        self._write()

    def hold_fsync(self, span_s: float = HANGING) -> None:
        """Let each fsync take so long, those that wait now included."""
        self._fsync_s = span_s
        self._write()

    def _write(self) -> None:
        if not math.isfinite(self._offset_s + self._fsync_s):
            raise ValueError("a switch must be a number of seconds")
        with self._control.open("r+b") as file:  # in place: the program has mapped this file
            file.write(struct.pack("dd", self._offset_s, self._fsync_s))

"""Loaded bundle of each worker process, in shared memory."""

from collections import Counter
from collections.abc import Mapping
from ctypes import Structure, c_char
from dataclasses import dataclass, field
from typing import Any


class Slot(Structure):
    """A digest in hexadecimal and the zero behind it; empty where nobody answers."""

    _fields_ = (("digest", c_char * 65),)


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """The processes' digests.

    Attributes:
        slots: An array of `Slot`, in memory that all processes share.
        own: Slot of this process.
    """

    slots: Any = field(default_factory=Slot * 1)
    own: int = 0

    def enter(self, digest: str) -> None:
        """Record the digest of the bundle that this process serves; empty if none."""
        self.slots[self.own].digest = digest.encode()

    def count(self) -> Mapping[str, int]:
        """Number of workers by the digest of their bundle."""
        return Counter(slot.digest.decode() for slot in self.slots if slot.digest)

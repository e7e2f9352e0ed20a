"""Loaded bundle of each worker process, in shared memory."""

from collections import Counter
from collections.abc import Mapping
from ctypes import Structure, c_char
from dataclasses import dataclass, field
from typing import Any


class Place(Structure):
    """A digest in hexadecimal and the zero behind it; empty where nobody answers."""

    _fields_ = (("digest", c_char * 65),)


@dataclass(frozen=True, slots=True)
class Roster:
    """The processes' digests.

    Attributes:
        places: An array of `Place`, in memory that all processes share.
        own: Slot of this process.
    """

    places: Any = field(default_factory=Place * 1)
    own: int = 0

    def enter(self, digest: str) -> None:
        """Says with which bundle this process answers from now on; with an empty one, with none."""
        self.places[self.own].digest = digest.encode()

    def count(self) -> Mapping[str, int]:
        """Number of workers by the digest of their bundle."""
        return Counter(place.digest.decode() for place in self.places if place.digest)

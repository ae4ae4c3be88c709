"""Why something happens to an image, or what makes it another one: typed, without words."""

from dataclasses import dataclass
from enum import Enum, auto


class Cause(Enum):
    """Why something happens to an image; behind each, what a reason has beside it. cli/reasons.py has the words."""

    NEW_VERSION = auto()  # names: the version, as in `debian-13/1.36.4`
    NEW_ARCHITECTURE = auto()  # names: the version
    GOES_ON = auto()
    VERSION = auto()  # names: the component; old, new
    FILE = auto()  # names: the component whose file changed though its version did not
    AS_OF = auto()  # old, new
    SETTINGS = auto()  # names: what of the stack file and the catalogue changed
    PACKAGES = auto()  # names: packages of the stack file, as in `+htop`
    STEP = auto()  # names: the step whose source changed; old, new: digests
    RENDERED = auto()  # names: steps that changed without any of the above
    NOT_RECORDED = auto()
    SNAPSHOT_GONE = auto()
    TOO_LARGE = auto()  # old, new: gigabytes of its disk, and maxDisk
    SNAPSHOT_FOUND = auto()
    DECLARED_AGAIN = auto()
    NOT_TESTED = auto()
    OTHER_TESTS = auto()
    LABEL_GONE = auto()
    UNDECLARED = auto()  # names: the version
    TOO_MANY = auto()  # names: the version
    NEVER_PASSED = auto()
    EARLIER = auto()  # names: the version
    IN_USE = auto()  # names: servers
    PROTECTED = auto()


@dataclass(frozen=True)
class Reason:
    """A cause, with what it is about: `names`, and a value before and after, empty where there was none."""

    cause: Cause
    names: tuple[str, ...] = ()
    old: str = ""
    new: str = ""

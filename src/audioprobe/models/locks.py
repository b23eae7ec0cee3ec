"""A lock for objects that are sent to other processes."""

import threading
from typing import Self


class PicklableLock(threading.Condition):
    """A lock and condition variable that is unpickled as a new, unlocked one."""

    def __reduce__(self) -> tuple[type[Self], tuple[()]]:
        return type(self), ()

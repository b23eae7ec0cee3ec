"""A lock for objects that are pickled and sent to other processes."""

import threading
from typing import Self


class PicklableLock(threading.Condition):
    """A condition variable (with its lock) that is unlocked after unpickling."""

    def __reduce__(self) -> tuple[type[Self], tuple[()]]:
        return type(self), ()

"""What this process may use of the machine that it runs on."""

import os


def cores() -> int:
    """Cores that this process may use, which in a container may be fewer than there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

"""Children that die with this process (I4): no recorder outlives its worker, whatever kills the worker."""

import os
import sys
from collections.abc import Sequence

_SHIM = """
import ctypes, os, signal, sys
parent, *argv = sys.argv[1:]
ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)
if os.getppid() != int(parent):
    os._exit(1)
os.execv(argv[0], argv)
"""
"""PR_SET_PDEATHSIG (prctl(2), option 1) survives execv. If the parent died before it was set, nobody would tell."""


def bound_to_parent(arguments: Sequence[str]) -> list[str]:
    """`arguments` (a program's full path first) so that the kernel kills the child when this process dies.

    A small Python sets the signal and becomes the program: Python code between fork and exec (`preexec_fn`) may
    deadlock in a process with threads. The kernel watches the *thread* that forks: start children from the main one.
    """
    return [sys.executable, "-I", "-S", "-c", _SHIM, str(os.getpid()), *arguments]


def bare_environment() -> dict[str, str]:
    """A child's environment: nothing but where programs are, so no secret of ours (I10)."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}

"""What an evaluator becomes before it is one: `python -I -S launch.py PARENT NETWORK COMMAND...`.

Runs in the new process, because Python cannot safely do this between fork and exec in a program with threads.
Only the standard library: it starts in 20 ms.

It dies with the worker, gains no rights, leaves no core file, is the first that the kernel ends where memory
is short, and has no network. NETWORK is `open` where a step of ours must download, `cut`, or `cut-aloud`,
which says in a line of progress whether the kernel let it.
"""

import contextlib
import ctypes
import json
import os
import resource
import signal
import sys
from pathlib import Path

PR_SET_PDEATHSIG = 1
PR_SET_NO_NEW_PRIVS = 38
CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000

ISOLATED = "no network: a network namespace of its own"
UNISOLATED = "network not cut off by this kernel: only the libraries are told to stay offline"


def main(parent: int, network: str, command: list[str]) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it died before the line above
        sys.exit(1)
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("900")
    if network != "open":
        isolation = ISOLATED if cut_network(libc) else UNISOLATED
        if network == "cut-aloud":
            print(json.dumps({"stage": "loading", "share": None, "message": isolation}), flush=True)
    os.execv(command[0], command)  # noqa: S606 - that is its purpose


def cut_network(libc: ctypes.CDLL) -> bool:
    """A network namespace has no way out. Where we may not make one, a user namespace of our own lets us."""
    if libc.unshare(CLONE_NEWNET) == 0:
        return True
    user, group = os.getuid(), os.getgid()
    if libc.unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0:
        return False
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    return True


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3:])

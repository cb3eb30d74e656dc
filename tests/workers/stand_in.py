"""An evaluator for tests of faults: `measure` first does what the option `behave` of its system says.

Started as the real one is (`SPARSEBOARD_EVALUATOR_MODULE`), with the same arguments.
"""

import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path


def main() -> int:
    if sys.argv[1] == "measure":
        path = Path(argument("--system"))
        system = json.loads(path.read_text())
        behave = system["options"].pop("behave", "")
        path.write_text(json.dumps(system))
        if behave:
            BEHAVIOURS[behave.partition(":")[0]](behave.partition(":")[2])
    if sys.argv[1] == "host":
        return calibrate(Path(argument("--write")))
    from evaluations.cli import main as real

    return real()


def calibrate(path: Path) -> int:
    """A host that is always the same: the machine that runs the tests is not."""
    from evaluations.latency.host import host_profile

    device, precisions = argument("--device"), argument("--precision").split(",")
    encoders = {f"encoder {device} 1 {each}": 5.0 for each in precisions if each != "none"}
    taken = {"bm25 cpu 1": 0.05, f"scan {device} 1": 20.0, **encoders}
    times = {f"{name} {statistic}": ms for name, ms in taken.items() for statistic in ("p50", "mean")}
    path.write_text(json.dumps({"host": {"hash": host_profile().hash}, "times_ms": times}))
    return 0


def argument(name: str) -> str:
    return sys.argv[sys.argv.index(name) + 1]


def say(stage: str | None = None, share: float | None = None, message: str | None = None) -> None:
    print(json.dumps({"stage": stage, "share": share, "message": message}), flush=True)


def hang(_: str) -> None:
    """Until somebody ends it. Says who it is, so that a test can see it go."""
    say("encoding", 0.61, f"pid {os.getpid()}")
    time.sleep(120)


def spawn(_: str) -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(120)"])
    say("encoding", None, f"pid {child.pid}")
    time.sleep(120)


def spawn_and_leave(_: str) -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(120)"])
    say("encoding", None, f"pid {child.pid}")
    sys.exit(0)


def die(number: str) -> None:
    say("encoding", 0.5)
    os.kill(os.getpid(), int(number))
    time.sleep(5)


def leave(status: str) -> None:
    sys.exit(int(status))


def crash(_: str) -> None:
    say("searching")
    sys.stderr.write("a line before\n")
    raise RuntimeError("a secret path: /srv/board")


def wrong(message: str) -> None:
    sys.stderr.write(f"error[MODEL-CONFIG]: {message}\n")
    sys.exit(2)


def fail(message: str) -> None:
    sys.stderr.write(f"Traceback (most recent call last):\n  here\nerror[DEVICE-LOST]: {message}\n")
    sys.exit(3)


def grow(mebibytes: str) -> None:
    say("encoding", 0.1)
    held = bytearray(int(mebibytes) * 2**20)
    for page in range(0, len(held), 4096):
        held[page] = 1
    time.sleep(30)


def shout(_: str) -> None:
    """A line that never ends, bytes that are no text, and what looks like progress."""
    sys.stdout.buffer.write(
        b"x" * 5_000_000 + b"\n\xff\xfe\n[1]\n" + b'{"stage": 7, "share": "NaN", "message": {}}\n'
    )
    sys.stdout.flush()
    sys.exit(0)


def look(_: str) -> None:
    """What a submitted model's process can see."""
    dataset = Path(argument("--dataset"))
    seen = {
        "variables": sorted(os.environ),
        "files": sorted(path.relative_to(dataset).as_posix() for path in dataset.rglob("*")),
        "folder": os.getcwd(),
        "home": os.environ["HOME"],
        "network": can_connect(argument("--out")),
        "gains rights": ctypes.CDLL(None).prctl(39, 0, 0, 0, 0) == 0,
    }
    Path(argument("--out")).mkdir()
    (Path(argument("--out")) / "seen.json").write_text(json.dumps(seen))
    sys.exit(0)


def can_connect(_: str) -> bool:
    """To a port of this machine that a test listens on."""
    address = Path("port").read_text() if Path("port").exists() else ""
    with socket.socket() as probe:
        probe.settimeout(2)
        return bool(address) and probe.connect_ex(("127.0.0.1", int(address))) == 0


def link(target: str) -> None:
    """Leave a link in place of the report."""
    out = Path(argument("--out"))
    out.mkdir()
    (out / "report.json").symlink_to(target)
    sys.exit(0)


def gate(reason: str) -> None:
    """Let the gates say this of the machine, which is as busy as the tests make it; nothing: let all pass."""
    from evaluations.latency import gates

    gates.rejection = lambda _: reason or None


def gate_briefly(reason: str) -> None:
    """The same, and a session that is as short as the protocol allows."""
    from evaluations import commands
    from evaluations.latency import baseline
    from evaluations.latency.schedule import Schedule
    from evaluations.latency.session import Settings
    from evaluations.latency.throughput import Plan

    gate(reason)
    baseline.LEAST_NS = 0
    brief = Settings(schedule=Schedule(block_s=0.0), throughput=Plan(closed_s=0.1, open_s=0.1, documents=3))
    commands.Settings = lambda threads: replace(brief, threads=threads)


def gate_points(reason: str) -> None:
    """The same for curves, each of whose points has such a session: beside a small scan, and no engines."""
    from evaluations import commands
    from evaluations.latency import references

    gate_briefly(reason)
    references.SCAN_SHAPE = (100, references.SCAN_SHAPE[1])
    brief = commands.Settings
    commands.Settings = lambda threads: replace(brief(threads), engines=False)


BEHAVIOURS = {
    "gate": gate,
    "gate-briefly": gate_briefly,
    "gate-points": gate_points,
    "hang": hang,
    "spawn": spawn,
    "spawn-and-leave": spawn_and_leave,
    "die": die,
    "leave": leave,
    "crash": crash,
    "wrong": wrong,
    "fail": fail,
    "grow": grow,
    "shout": shout,
    "look": look,
    "link": link,
    "stop": lambda _: os.kill(os.getpid(), signal.SIGSTOP),
}

if __name__ == "__main__":
    sys.exit(main())

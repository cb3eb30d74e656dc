"""What a process of the evaluator may see: a short list of variables, a folder, no secrets."""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from django.conf import settings

LAUNCHER = Path(__file__).with_name("launch.py")

# The worker's variables that pass. None of SPARSEBOARD_'s is among them: they hold the database and secrets.
PASSED = (
    "PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "LD_LIBRARY_PATH",
    "CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES", "NVIDIA_DRIVER_CAPABILITIES",
    "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS",
)  # fmt: skip
# What our own steps need beside them, which run nothing that was submitted.
PASSED_TO_OURS = (
    "HOME", "SPARSEBOARD_CACHE", "IR_DATASETS_HOME", "HF_HOME", "HF_ENDPOINT",
    "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
    "SSL_CERT_FILE", "SSL_CERT_DIR",
)  # fmt: skip
OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}


@dataclass(frozen=True)
class Step:
    """One process: a module of ours with its arguments. `trusted` steps run nothing that was submitted.

    `stage` is what people see in place of the stages that the step names.
    """

    name: str
    arguments: Sequence[str]
    trusted: bool = False
    network: bool = False
    stage: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)


def command(step: Step) -> list[str]:
    """Through the launcher. `-P` keeps the working folder, to which a model writes, off the import path."""
    network = "open" if step.network else "cut" if step.trusted else "cut-aloud"
    launch = [sys.executable, "-I", "-S", str(LAUNCHER), str(os.getpid()), network]
    return [*launch, sys.executable, "-P", "-m", *step.arguments]


def environment(step: Step, folder: Path) -> dict[str, str]:
    names = (*PASSED, *PASSED_TO_OURS) if step.trusted else PASSED
    passed = {name: os.environ[name] for name in names if name in os.environ}
    own = {"TMPDIR": str(folder), "PYTHONPATH": str(settings.BASE_DIR), "PYTHONUNBUFFERED": "1"}
    home = {} if step.trusted else {"HOME": str(folder)}
    offline = {} if step.network else OFFLINE
    return passed | own | home | offline | dict(step.variables)

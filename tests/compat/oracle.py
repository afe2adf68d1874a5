"""Runs the real command lines of Copier, Cookiecutter and cruft, without importing them anew for each run.

Reads one JSON request a line: {"argv": [program, …], "directory": …, "log": …}. Forks, runs the program's own command
line in the child, answers with its exit code on a line.
"""

import json
import os
import sys
import traceback

import cookiecutter.cli
import copier.__main__
import cruft._cli
import plumbum

PROGRAMS = {
    "copier": copier.__main__.CopierApp.run,
    "cookiecutter": cookiecutter.cli.main,
    "cruft": cruft._cli.app,
}


def run(request):
    """The child: the program's command line, as its console script would call it."""
    log = os.open(request["log"], os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.chdir(request["directory"])
    plumbum.local.cwd.chdir(request["directory"])
    sys.argv = request["argv"]
    code = 0
    try:
        PROGRAMS[sys.argv[0]]()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code & 255)


for line in sys.stdin:
    child = os.fork()
    if child == 0:
        run(json.loads(line))
    _, status = os.waitpid(child, 0)
    print(os.waitstatus_to_exitcode(status), flush=True)

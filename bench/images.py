"""Base images against docker and skopeo: one registry on loopback, images of files of this machine's /usr, one run.

The large image has six layers of gzip; five smaller ones have three each, and share none. "Cold" is an engine without the
layers and an onramp without a cache.
"""

import gzip
import hashlib
import http.client
import io
import json
import multiprocessing
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import time

from harness import ENV, HOME, ONRAMP, RUNS, WORK, median, note, onramp, run, table

PLACE = WORK / "images"
CACHE = HOME / "cache/onramp"
HEAVY = min(RUNS, 3)
LARGE, SMALL = 130_000_000, 40_000_000
LINK, DELAY = 10_000_000, 0.020
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


class Registry:
    """Debian's docker-registry, filled over HTTP."""

    def __init__(self):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        PLACE.mkdir(parents=True, exist_ok=True)
        config = PLACE / "registry.yml"
        config.write_text(f"version: 0.1\nlog: {{level: error}}\nhttp: {{addr: 127.0.0.1:{self.port}}}\n"
                          f"storage: {{filesystem: {{rootdirectory: {PLACE / 'registry'}}}}}\n")
        self.process = subprocess.Popen(["docker-registry", "serve", config], stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        sys.exit("bench: the registry did not start")

    def call(self, method, path, body=None, headers=()):
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        connection.request(method, path, body=body, headers=dict(headers))
        answer = connection.getresponse()
        answer.read()
        if answer.status >= 300:
            sys.exit(f"bench: {method} {path}: {answer.status}")
        return answer

    def blob(self, name, data):
        begun = self.call("POST", f"/v2/{name}/blobs/uploads/", b"")
        place = begun.getheader("location").split("/v2/", 1)[1]
        self.call("PUT", f"/v2/{place}&digest={digest(data)}", data, {"Content-Type": "application/octet-stream"}.items())

    def image(self, name, layers):
        """Pushes an image; its digest and the bytes of its layers."""
        config = json.dumps({"architecture": "amd64", "os": "linux", "config": {"Env": ["PATH=/bin"]},
                             "rootfs": {"type": "layers", "diff_ids": [unpacked for _, unpacked in layers]}}).encode()
        descriptor = lambda kind, data: {"mediaType": kind, "digest": digest(data), "size": len(data)}
        manifest = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "config": descriptor(CONFIG, config),
                               "layers": [descriptor(LAYER, packed) for packed, _ in layers]}).encode()
        for data in [packed for packed, _ in layers] + [config]:
            self.blob(name, data)
        self.call("PUT", f"/v2/{name}/manifests/1", manifest, {"Content-Type": MANIFEST}.items())
        return digest(manifest), sum(len(packed) for packed, _ in layers)


class Link:
    """`narrow.py` before the registry."""

    def __init__(self, registry, rate=0, delay=0):
        self.process = subprocess.Popen([sys.executable, pathlib.Path(__file__).with_name("narrow.py"),
                                         str(registry.port), str(rate), str(delay)], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.port = int(self.process.stdout.readline())

    def count(self):
        """Bytes since this was asked last."""
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def close(self):
        self.process.kill()
        self.process.wait()


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def files():
    """Files of this machine, the same ones in every run."""
    for directory, below, names in os.walk("/usr"):
        below.sort()
        for name in sorted(names):
            path = pathlib.Path(directory, name)
            if path.is_file() and not path.is_symlink() and path.stat().st_size < 50_000_000:
                yield path


def pushed(registry, *images):
    """Makes and pushes images `(name, layers, bytes of each, dpkg's status)` in a child: a program's peak memory counts from that of
    the process that starts it. The digest and the packed bytes of each."""
    ours, theirs = multiprocessing.Pipe()

    def work():
        source = cycle()
        theirs.send([registry.image(name, layers(source, count, size, status)) for name, count, size, status in images])

    child = multiprocessing.get_context("fork").Process(target=work)
    child.start()
    theirs.close()
    made = ours.recv()
    child.join()
    return made


def layers(source, count, size, status):
    """Packed layers of about `size` bytes each, unpacked, with the digest of each."""
    made = []
    for number in range(count):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as tar:
            mark = os.urandom(32)
            head = tarfile.TarInfo("etc/mark")
            head.size = len(mark)
            tar.addfile(head, io.BytesIO(mark))
            if number == 0:
                head = tarfile.TarInfo("var/lib/dpkg/status")
                head.size = len(status)
                tar.addfile(head, io.BytesIO(status))
            while buffer.tell() < size:
                path = next(source)
                tar.add(path, arcname=str(path).lstrip("/"), recursive=False)
        made.append((gzip.compress(buffer.getvalue(), 1), digest(buffer.getvalue())))
    return made


def cycle():
    while True:
        yield from files()


def forget(names):
    """Takes images from the engine, and the cache from onramp."""
    for name in names:
        subprocess.run(["docker", "image", "rm", "-f", name], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    shutil.rmtree(CACHE / "blobs", ignore_errors=True)


def cold(names, pull, runs=HEAVY):
    """The median time of a pull of what is not there."""
    times = []
    for _ in range(runs):
        forget(names)
        times.append(pull())
    forget(names)
    return median(times)


def docker(*names):
    return sum(run(["docker", "pull", "-q", name])[0] for name in names)


def skopeo(name):
    tag = name.split("@")[0].split("/", 1)[1] + ":bench"
    seconds = run(["skopeo", "copy", "-q", "--src-tls-verify=false", f"docker://{name}", f"docker-daemon:{tag}"])[0]
    subprocess.run(["docker", "image", "rm", "-f", tag], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    return seconds


def killed(command, link, half, how):
    """Starts a pull, ends it when half of the bytes came, and starts it again: bytes, seconds and memory of the second one."""
    link.count()
    process = subprocess.Popen(command, env=ENV, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    came = 0
    while came < half and process.poll() is None:
        time.sleep(0.02)
        came += link.count()
    process.send_signal(how)
    process.wait()
    time.sleep(1)  # the engine needs a moment to give up
    link.count()
    seconds, mebibytes, _ = run(command)
    return link.count(), seconds, mebibytes


def ten(registry, memory):
    """A project with ten images, all here and locked; the time of a pull that has nothing to do."""
    project = PLACE / "ten"
    shutil.rmtree(project, ignore_errors=True)
    project.mkdir(parents=True)
    text, names = "schema = 1\nname = \"ten\"\n", []
    made = pushed(registry, *((f"base/ten{number}", 1, 100_000, b"") for number in range(10)))
    for number, (sha, _) in enumerate(made):
        name = f"base/ten{number}"
        names.append(f"127.0.0.1:{registry.port}/{name}@{sha}")
        text += f"[services.s{number}]\nfallback = \"127.0.0.1:{registry.port}/{name}:1\"\n"
    (project / "onramp.toml").write_text(text)
    onramp("image", "pull", cwd=project)
    runs = [run([ONRAMP, "image", "pull"], cwd=project) for _ in range(RUNS)]
    memory.extend(mebibytes for _, mebibytes, _ in runs)
    seconds = median([seconds for seconds, _, _ in runs])
    docker_seconds = median([docker(*names) for _ in range(HEAVY)])
    forget(names)
    return seconds, docker_seconds


def difference(a, b, memory):
    """`image diff` of two images that are not here: the median times of the first run and of the ones after it."""
    first, again = [], []
    for _ in range(HEAVY):
        shutil.rmtree(CACHE, ignore_errors=True)
        seconds, mebibytes, _ = run([ONRAMP, "image", "diff", a, b], codes=(0, 1))
        first.append(seconds)
        memory.append(mebibytes)
        for _ in range(3):
            seconds, mebibytes, _ = run([ONRAMP, "image", "diff", a, b], codes=(0, 1))
            again.append(seconds)
            memory.append(mebibytes)
    return median(first), median(again)


def measure():
    """The section of the report."""
    registry = Registry()
    links = []
    try:
        return report(registry, links)
    finally:
        for link in links:
            link.close()
        registry.process.kill()
        registry.process.wait()
        shutil.rmtree(PLACE, ignore_errors=True)


def report(registry, links):
    note("images of this machine's files")
    status = pathlib.Path("/var/lib/dpkg/status").read_bytes() if pathlib.Path("/var/lib/dpkg/status").exists() else b""
    (sha, size), (other, _), *five = pushed(
        registry, ("base/large", 6, LARGE, status),
        ("base/other", 6, LARGE, status.replace(b"Version: 1", b"Version: 2")),
        *((f"base/small{n}", 3, SMALL, b"") for n in range(5)))
    at = lambda port, name, sha: f"127.0.0.1:{port}/base/{name}@{sha}"
    large, other = at(registry.port, "large", sha), at(registry.port, "other", other)
    small = [at(registry.port, f"small{n}", made) for n, (made, _) in enumerate(five)]
    memory = []

    def own(*names):
        seconds, mebibytes, _ = run([ONRAMP, "image", "pull", *names])
        memory.append(mebibytes)
        return seconds

    note("one cold image")
    one = {"onramp": cold([large], lambda: own(large)), "docker": cold([large], lambda: docker(large)),
           "skopeo": cold([large], lambda: skopeo(large))}
    note("five cold images")
    five = {"onramp": cold(small, lambda: own(*small)), "docker": cold(small, lambda: docker(*small))}
    note("a narrow link")
    narrow = Link(registry, LINK, DELAY)
    links.append(narrow)
    far = at(narrow.port, "large", sha)
    link = {"onramp": cold([far], lambda: own(far)), "docker": cold([far], lambda: docker(far))}
    note("killed at half")
    forget([far])
    again, again_seconds, mebibytes = killed([ONRAMP, "image", "pull", far], narrow, size / 2, signal.SIGKILL)
    memory.append(mebibytes)
    forget([far])
    docker_again, docker_seconds, _ = killed(["docker", "pull", "-q", far], narrow, size / 2, signal.SIGINT)
    forget([far])
    note("nothing to do")
    idle, docker_idle = ten(registry, memory)
    note("diff")
    diff, diff_again = difference(large, other, memory)
    forget([large, other])

    mb = lambda count: f"{count / 1e6:.0f} MB"
    faster = lambda pair: f"{pair['docker'] / pair['onramp']:.2f} × faster"
    rows = [
        (f"one cold image of {mb(size)}, against `docker pull`", f"{one['onramp']:.2f} s", f"{one['docker']:.2f} s",
         f"{one['onramp'] / one['docker']:.2f} × the time", "≤ 1.10 ×"),
        ("one cold image, against `skopeo copy` into the engine", f"{one['onramp']:.2f} s", f"{one['skopeo']:.2f} s",
         f"{one['skopeo'] / one['onramp']:.2f} × faster", ""),
        ("five cold images at once, against docker in turn", f"{five['onramp']:.2f} s", f"{five['docker']:.2f} s", faster(five), "≥ 1.35 ×"),
        ("the large image, 10 MB/s a connection, 20 ms", f"{link['onramp']:.2f} s", f"{link['docker']:.2f} s", faster(link), "≥ 1.7 ×"),
        ("the same, killed at half and run again: bytes", mb(again), mb(docker_again), f"{again / size * 100:.0f} % of the image", "only the rest"),
        ("the same: seconds of the second run", f"{again_seconds:.2f} s", f"{docker_seconds:.2f} s",
         f"{docker_seconds / again_seconds:.2f} × faster", ""),
        ("nothing to do for ten images, against `docker pull` of each", f"{idle * 1000:.0f} ms", f"{docker_idle * 1000:.0f} ms", "", "< 100 ms"),
        ("`image diff` of two such images, against pulling one", f"{diff:.2f} s", f"{one['docker']:.2f} s",
         f"{one['docker'] / diff:.1f} × faster", "≥ 4 ×"),
        ("the same diff again", f"{diff_again * 1000:.0f} ms", "", "", "< 100 ms"),
        ("peak memory of all these runs of `image pull` and `image diff`", f"{max(memory):.0f} MiB", "", "", "< 64 MiB"),
    ]
    versions = [subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[-1]
                for command in (["docker", "version", "-f", "{{.Server.Version}}"], ["skopeo", "--version"])]
    return f"""## Images

Engine {versions[0]}, skopeo {versions[1]}, Debian's registry on loopback. Medians of {HEAVY} runs, of {RUNS} where there is nothing to do. The
large image has six layers of gzip, {mb(size)} packed and about {mb(6 * LARGE)} unpacked, of files of this machine; the five have three
layers each. Before each run the engine has none of it, and onramp's cache is empty.

{table(["what", "onramp", "peer", "ratio", "goal"], rows)}

What bounds each row, and its floor:

- One cold image: an engine unpacks, hashes and writes the layers of an image one after the other. onramp unpacks them beside it, so that
  the floor is what the engine takes to hash and write {mb(6 * LARGE)}. `skopeo copy` hands over the same bytes, and has the same floor.
- Five cold images: unpacking several at once, bounded by the cores; the floor is one image's time where there is a core for each.
- The narrow link: the link. {mb(size)} over sixteen connections of 10 MB/s take {size / 16 / LINK:.1f} s, the floor; unpacking begins when the lowest
  layer is whole, and what is left of the engine's work comes on top.
- Killed at half: the floor is the half that had not come. The engine has kept no layer; onramp has every byte that it noted, and
  fetches the rest and what was on its way on each connection. The seconds are those bytes on that link, and all of the engine's work.
- Nothing to do: a request to the registry for each tag, and one to the engine for each image, all at once; the floor is the slowest of them and the
  start of the program.
- The first diff: every layer is unpacked and read once, bounded by the cores; the floor is unpacking the largest layer on one of them.
- The diff again: what was kept of the layers is read from the disk; the floor is that and the start of the program.
- Memory: the most that any of onramp's pulls and diffs in this section took. No layer is ever held; the floor is the program itself.

docker and skopeo ran on the same machine in the same run. regctl and crane are not in Debian and could not be had here: no row compares
with them.
"""

"""A state repository of 10,000 apps in 5 environments with 2,000 commits, over http on loopback: proposing a deployment against a
shallow clone, an edit and a push by hand; the overview of all of it; its lint."""

import http.server
import os
import shutil
import subprocess
import threading

from harness import ENV, ONRAMP, RUNS, WORK, median, note, run, table

APPS, COMMITS = 10_000, 2_000
# It answers, and has no image: proposals would compare what is in them.
PORT = 8917
REGISTRY = f"127.0.0.1:{PORT}"
ENVIRONMENTS = ["dev", "test", "staging", "canary", "production"]
GOALS = {"deploy": 10, "status": 1.0, "lint": 2.0, "memory": 150}


class Server(http.server.BaseHTTPRequestHandler):
    """Git's own program for http, asked as a web server asks it (git-http-backend(1)). It counts its requests."""

    requests = 0
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self):
        if self.path.startswith("/v2/"):
            self.send_response(404)
            self.send_header("Content-Length", "0")
            return self.end_headers()
        Server.requests += 1
        path, _, query = self.path.partition("?")
        length = self.headers.get("Content-Length")
        if length is None and self.headers.get("Transfer-Encoding") == "chunked":
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(length or 0))
        env = dict(os.environ, GIT_PROJECT_ROOT=str(WORK / "states"), GIT_HTTP_EXPORT_ALL="1", REQUEST_METHOD=self.command,
                   PATH_INFO=path, QUERY_STRING=query, CONTENT_TYPE=self.headers.get("Content-Type", ""), CONTENT_LENGTH=str(len(body)),
                   HTTP_CONTENT_ENCODING=self.headers.get("Content-Encoding", ""), GIT_PROTOCOL=self.headers.get("Git-Protocol", ""))
        said = subprocess.run(["git", "http-backend"], input=body, env=env, stdout=subprocess.PIPE, check=True).stdout
        head, _, rest = said.partition(b"\r\n\r\n")
        fields = [line.decode().split(": ", 1) for line in head.split(b"\r\n")]
        self.send_response(int(dict(fields).get("Status", "200").split()[0]))
        for name, value in fields:
            if name != "Status":
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        self.wfile.write(rest)

    do_GET = do_HEAD = do_POST = answer


def declaration(number, version):
    return f"""schema = 1
[services.web]
image = "{REGISTRY}/apps/app-{number}@sha256:{number + version * APPS:064x}"
port = 80
replicas = 3
needs = ["db"]
env = {{ DB_HOST = "db", DB_PASSWORD = {{ secret = "app-{number}/db-password" }} }}
ready = {{ http = "/health" }}
[services.db]
image = "{REGISTRY}/base/mariadb@sha256:{'b' * 64}"
data = "/var/lib/mysql"
port = 3306
"""


def history(repository):
    """All of it as one stream that git takes in at once."""
    rules = "schema = 1\n" + "".join(
        f'[[environment]]\nname = "{name}"\n' + (f'after = "{ENVIRONMENTS[at - 1]}"\n' if at else "")
        for at, name in enumerate(ENVIRONMENTS))
    subprocess.run(["git", "init", "--quiet", "--bare", "--initial-branch", "main", repository], check=True)
    subprocess.run(["git", "-C", repository, "config", "http.receivepack", "true"], check=True)
    git = subprocess.Popen(["git", "-C", repository, "fast-import", "--quiet"], stdin=subprocess.PIPE)
    write = lambda text: git.stdin.write(text.encode())
    file = lambda path, text: write(f"M 100644 inline {path}\ndata {len(text)}\n{text}\n")
    for commit in range(COMMITS):
        at = 1_780_000_000 + commit * 600
        write(f"commit refs/heads/main\ncommitter Bench <bench@acme.test> {at} +0000\ndata 6\nDeploy\n")
        if commit == 0:
            file("state.toml", rules)
            for name in ENVIRONMENTS:
                for number in range(APPS):
                    file(f"environments/{name}/app-{number}.toml", declaration(number, 0))
        else:
            number = commit * 7 % APPS
            for name in ENVIRONMENTS[: 1 + commit % len(ENVIRONMENTS)]:
                file(f"environments/{name}/app-{number}.toml", declaration(number, commit))
    git.stdin.close()
    if git.wait():
        raise SystemExit("bench: git fast-import failed")
    subprocess.run(["git", "-C", repository, "gc", "--quiet"], check=True)


def by_hand(url, number):
    """What people do without onramp: a shallow clone, an edit, a push. The pull request comes on top of that."""
    place = WORK / "states/by-hand"
    shutil.rmtree(place, ignore_errors=True)
    clone, _, _ = run(["git", "clone", "--quiet", "--depth", "1", url, place])
    file = place / f"environments/test/app-{number}.toml"
    file.write_text(declaration(number, COMMITS + 1))
    edit, _, _ = run(["git", "-C", place, "commit", "--quiet", "--all", "--message", "Deploy"])
    push, _, _ = run(["git", "-C", place, "push", "--quiet", "origin", f"HEAD:refs/heads/by-hand-{number}"])
    return clone + edit + push


def measure():
    made, repository = WORK / "states/made.git", WORK / "states/state.git"
    if not (made / "packed-refs").exists():
        note(f"making {COMMITS} commits of {APPS * len(ENVIRONMENTS)} files")
        shutil.rmtree(made, ignore_errors=True)
        history(made)
    # Each run begins without what the last one proposed.
    shutil.rmtree(repository, ignore_errors=True)
    shutil.copytree(made, repository)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", PORT), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://{REGISTRY}/state.git"
    # What stays between runs must not decide the first one.
    shutil.rmtree(ENV["XDG_CACHE_HOME"] + "/onramp/repositories", ignore_errors=True)
    ENV.update(ONRAMP_STATE=url, ONRAMP_FORGE="local")
    onramp = lambda *arguments: run([ONRAMP, *arguments])
    note("the first time")
    first = onramp("promote", "dev", "test", "app-35", "--yes")[0]
    figures = {name: [] for name in ("promote", "by hand", "status", "lint")}
    memory = {"promote": 0, "status": 0, "lint": 0}
    requests = []
    for turn in range(RUNS):
        note(f"run {turn + 1} of {RUNS}")
        before = Server.requests
        number = (turn + 2) * 35 % APPS
        for name, arguments in (("promote", ["promote", "dev", "test", f"app-{number}", "--yes"]),
                                ("status", ["release", "status", "--offline"]), ("lint", ["state", "lint"])):
            seconds, mebibytes, _ = onramp(*arguments)
            figures[name].append(seconds)
            memory[name] = max(memory[name], mebibytes)
            if name == "promote":
                requests.append(Server.requests - before)
        figures["by hand"].append(by_hand(url, number))
    server.shutdown()
    took = {name: median(values) for name, values in figures.items()}
    rows = [
        ["a deployment proposed, the state repository known", f"{took['promote']:.2f} s", f"{took['by hand']:.2f} s",
         f"{took['by hand'] / took['promote']:.1f} × faster", f"at least {GOALS['deploy']} × faster"],
        ["the same, the state repository never seen", f"{first:.2f} s", f"{took['by hand']:.2f} s",
         f"{took['by hand'] / first:.2f} × faster", ""],
        ["`release status` over all of it", f"{took['status']:.2f} s", "", "", f"below {GOALS['status']:.0f} s"],
        ["`state lint` of all files", f"{took['lint']:.2f} s", "", "", f"below {GOALS['lint']:.0f} s"],
        ["memory of each of them", ", ".join(f"{name} {value:.0f}" for name, value in memory.items()) + " MiB", "", "",
         f"below {GOALS['memory']} MiB"],
    ]
    return f"""## The state repository

{APPS:,} apps in {len(ENVIRONMENTS)} environments, {APPS * len(ENVIRONMENTS):,} files, {COMMITS:,} commits, served over http on loopback. By hand means
`git clone --depth 1`, an edit, a commit and a push, without the pull request itself. Medians of {RUNS} runs; onramp's pull requests are
those of the local forge, which are pushed too: {median(requests):.0f} http requests to git a deployment. The registry answers, and has none of the images.

{table(["what", "onramp", "by hand", "ratio", "goal"], rows)}
"""

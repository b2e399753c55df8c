# SPDX-License-Identifier: GPL-3.0-or-later
"""
What every end-to-end test stands on: the Fairlead process, its configuration as text, free ports, and the Context that
a test gets as its only argument and that takes everything down again. Children are started only from the main thread
(they die with it) and ended only by their own handle.

Environment: FAIRLEAD (the binary), FAIRLEAD_BALANCERS (directory of strategy modules), FAIRLEAD_TIME_SCALE (a factor
for every waiting time, for sanitizer builds), FAIRLEAD_LARGE=1 (1 GiB bodies).
"""

import ctypes
import os
import random
import re
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from client import RawClient
from origin import Origin, answer_plainly
from wire import wait_for

ROOT = Path(__file__).resolve().parents[2]
SCALE = float(os.environ.get("FAIRLEAD_TIME_SCALE", "1"))
LARGE = os.environ.get("FAIRLEAD_LARGE") == "1"
TEST_SECONDS = 20.0
TROUBLE = re.compile(r"AddressSanitizer|ThreadSanitizer|LeakSanitizer|runtime error:|[Aa]ssert|SUMMARY: ")
OUTCOME = re.compile(r" reloaded file=|is not reloaded")
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
LIBC = ctypes.CDLL(None, use_errno=True)


class Skip(Exception):
    """The test cannot run here; the reason is printed."""


def scaled(seconds):
    return seconds * SCALE


def find_binary():
    named = os.environ.get("FAIRLEAD")
    for candidate in [Path(named)] if named else [ROOT / "build/fairlead", ROOT / "fairlead"]:
        if candidate.is_file() and os.access(candidate, os.X_OK):
            return str(candidate.resolve())
    raise SystemExit(f"no fairlead binary: set FAIRLEAD (tried {named or 'build/fairlead, ./fairlead'})")


def find_balancers():
    named = os.environ.get("FAIRLEAD_BALANCERS")
    beside = Path(find_binary()).parent / "balancers/.libs"
    for candidate in [named] if named else [ROOT / "build/balancers/.libs", beside]:
        if Path(candidate).is_dir():
            return str(candidate)
    return None


def is_sanitized():
    """True when the binary (or the one behind a libtool wrapper) carries a sanitizer; memory figures mean nothing then."""
    binary = Path(find_binary())
    real = binary.parent / ".libs" / binary.name
    text = (real if real.exists() else binary).read_bytes()
    return b"__asan_init" in text or b"__tsan_init" in text


def free_port():
    """A port that nobody listens on, below the range that outgoing connections take."""
    for _ in range(200):
        port = random.randint(11000, 31000)
        with socket.socket() as probe, socket.socket(socket.AF_INET6) as probe6:
            try:
                probe.bind(("127.0.0.1", port))
                probe6.bind(("::1", port))
                return port
            except OSError:
                continue
    raise AssertionError("no free port")


def render(value, indent=0):
    """A Python value in libconfig's syntax: dict = group, list of scalars = array, other list = list."""
    pad = "  " * (indent + 1)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        return f'"{escaped}"'
    if isinstance(value, dict):
        lines = [f"{pad}{key} = {render(item, indent + 1)};" for key, item in value.items()]
        return "{\n" + "\n".join(lines) + "\n" + "  " * indent + "}"
    if all(isinstance(item, (str, int)) for item in value):
        return "[ " + ", ".join(render(item) for item in value) + " ]"
    return "(\n" + ",\n".join(pad + render(item, indent + 1) for item in value) + " )"




def document(config):
    return "".join(f"{key} = {render(value)};\n" for key, value in config.items())


def die_with_parent():
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def adopt_orphans():
    """What a child leaves behind becomes our child, so that it can be waited for and ended."""
    assert LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0


def children_of(pid):
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += [int(number) for number in task.read_text().split()]
        except OSError:
            continue
    return found


def end_adopted():
    """Kills what was adopted, and what that leaves behind; called when our own children have ended."""
    while left := children_of(os.getpid()):
        for pid in left:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


class Child:
    """A process of ours with its output in files; ended by its handle."""

    def __init__(self, arguments, directory, name, env=None, files_limit=None):
        self.out_path, self.err_path = Path(directory, name + ".out"), Path(directory, name + ".err")
        self.name = name

        def prepare():
            die_with_parent()
            if files_limit:
                resource.setrlimit(resource.RLIMIT_NOFILE, (files_limit, files_limit))

        with open(self.out_path, "wb") as out, open(self.err_path, "wb") as err:
            self.process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=env,
                                            preexec_fn=prepare)

    def stderr(self):
        return self.err_path.read_text(errors="replace")

    def stdout(self):
        return self.out_path.read_text(errors="replace")

    def send_signal(self, number):
        self.process.send_signal(number)

    def wait(self, seconds):
        return self.process.wait(scaled(seconds))

    def stop(self, number=signal.SIGTERM, seconds=8.0):
        """Ends it; returns the exit status, or None when it had to be killed."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(scaled(seconds))
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return None


class Fairlead(Child):
    """A running proxy; `address` is its first listener. Made by Context.fairlead."""

    def __init__(self, config_path, directory, addresses, files_limit=None, name="fairlead", binary=None, env=None):
        balancers = find_balancers()
        arguments = [binary or find_binary(), "-c", str(config_path)] + (["-b", balancers] if balancers else [])
        super().__init__(arguments, directory, name, files_limit=files_limit, env=env)
        self.config_path, self.pid, self.adopted = config_path, self.process.pid, []
        self.addresses, self.address, self.directory = addresses, addresses[0], Path(directory)
        self.checked = False

    def await_ready(self):
        deadline = time.monotonic() + scaled(8)
        for address in self.addresses:
            while not self._accepts(address):
                assert self.process.poll() is None, f"fairlead ended at start: {self.stderr()[-1500:]}"
                assert time.monotonic() < deadline, f"fairlead does not listen on {address}: {self.stderr()[-1500:]}"
                time.sleep(0.005)

    @staticmethod
    def _accepts(address):
        try:
            RawClient(address, timeout=1).close()
            return True
        except OSError:
            return False

    def send_signal(self, number):
        """To the process that serves: after an upgrade, the new one."""
        os.kill(self.pid, number)

    def reload(self, config, good=True):
        """Rewrites the configuration (a dict, or a text), and waits until the reload has ended as expected."""
        written = self.config_path.with_suffix(".new")  # renamed, so that no reload that runs yet reads a part
        written.write_text(config if isinstance(config, str) else document(config))
        written.replace(self.config_path)
        before = len(OUTCOME.findall(self.stderr()))
        self.send_signal(signal.SIGHUP)
        found = wait_for(lambda: OUTCOME.findall(self.stderr())[before:], scaled(8), "the outcome of the reload")
        assert ("is not" not in found[0]) == good, f"good={good}: {self.stderr()[-800:]}"

    def upgrade(self, pid_path):
        """Upgrades in place, and waits until the pid file names the new process, which this object is from then on."""
        adopt_orphans()
        before = self.pid
        self.send_signal(signal.SIGUSR2)

        def successor():
            text = pid_path.read_text().strip()
            return text and int(text) != before and int(text)
        self.pid = wait_for(successor, scaled(8), "a new process in the pid file")
        self.adopted.append(self.pid)
        return self.pid

    def finish_adopted(self, seconds=8.0):
        """Waits for the new processes of upgrades, once all were told to end."""
        for pid in self.adopted:
            ended = wait_for(lambda pid=pid: pid in children_of(os.getpid()) and (lambda w: w[0] and w)(os.waitpid(pid, os.WNOHANG)),
                             scaled(seconds), f"the end of process {pid}")
            assert ended[1] == 0, f"process {pid} ended with wait status {ended[1]}"

    def rss_kib(self):
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1])

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def counters(self):
        """The lines `counters` and `ring` of the error log as one dict; empty before the stop."""
        lines = re.findall(r"\d: (?:counters|ring) (.*)", self.stderr())
        return {key: int(value) for line in lines for key, value in re.findall(r"([\w.]+)=(\d+)", line)}

    def finish(self, expected=0):
        """Graceful stop, and a look at what it left behind."""
        if self.checked:
            return
        self.checked = True
        if self.adopted:
            self.send_signal(signal.SIGTERM)
        status = self.stop()
        self.finish_adopted()
        assert status is not None, "fairlead did not stop within its time"
        trouble = TROUBLE.search(self.stderr())
        assert not trouble, f"{trouble[0]} in stderr"
        assert status == expected, f"exit status {status}, expected {expected}"


class Context:
    """All that one test uses. `close(failed)` takes it down in reverse order and reports what the proxy left behind."""

    def __init__(self, name):
        self.name = name
        self.dir = Path(tempfile.mkdtemp(prefix="fairlead-e2e-"))
        self.children, self.origins, self.clients = [], [], []
        os.chmod(self.dir, 0o755)

    # -- parts ------------------------------------------------------------------------------------------------------

    def origin(self, handler=answer_plainly, **options):
        options.setdefault("timeout", scaled(30))
        made = Origin(handler, **options)
        self.origins.append(made)
        return made

    def config(self, locations, **top):
        """One site on one free port. Keys of `top` go to the top level; site={...}, upstreams={...} are merged in."""
        site = {"listen": [f"127.0.0.1:{free_port()}"], "locations": locations, **top.pop("site", {})}
        upstreams = top.pop("upstreams", None)
        config = {"workers": 1, "engine": {"pin": False}, "log": {"level": "info"}}
        for key, value in top.items():
            config[key] = {**config[key], **value} if isinstance(value, dict) and key in config else value
        if upstreams:
            config["upstreams"] = upstreams
        config["sites"] = config.get("sites", [site])
        return config

    def start(self, config, files_limit=None, wait=True, binary=None, env=None):
        """Writes the configuration, starts the proxy, waits until it accepts."""
        number = len([child for child in self.children if isinstance(child, Fairlead)])
        path = self.dir / f"fairlead{number}.conf"
        path.write_text(document(config))
        addresses = [parse_listen(text) for site in config["sites"] for text in site["listen"]]
        proxy = Fairlead(path, self.dir, list(dict.fromkeys(addresses)), files_limit, f"fairlead{number}", binary, env)
        self.children.append(proxy)
        if wait:
            proxy.await_ready()
        return proxy

    def proxy(self, origin=None, **top):
        """The usual case: everything under / goes to one origin (or to `locations`)."""
        locations = top.pop("locations", None) or [{"path": "/", "proxy_pass": origin.url}]
        files_limit = top.pop("files_limit", None)
        return self.start(self.config(locations, **top), files_limit)

    def pool(self, servers, upstream=None, **top):
        """Everything under / goes to a balanced group; servers are Origins or dicts."""
        entries = [item if isinstance(item, dict) else {"address": item.address} for item in servers]
        group = {"servers": entries, **(upstream or {})}
        return self.proxy(locations=[{"path": "/", "proxy_pass": "http://group"}], upstreams={"group": group}, **top)

    def client(self, proxy, **options):
        options.setdefault("timeout", scaled(8))
        made = RawClient(proxy.address if isinstance(proxy, Fairlead) else proxy, **options)
        self.clients.append(made)
        return made

    def child(self, arguments, name, env=None):
        made = Child(arguments, self.dir, name, env)
        self.children.append(made)
        return made

    def command(self, *arguments, seconds=15.0, env=None):
        """Runs a tool to its end; returns (status, stdout bytes, stderr text)."""
        done = subprocess.run(arguments, stdin=subprocess.DEVNULL, capture_output=True, timeout=scaled(seconds), env=env,
                              preexec_fn=die_with_parent, check=False)
        return done.returncode, done.stdout, done.stderr.decode(errors="replace")

    def test_config(self, text, *flags):
        """fairlead -c on a text; returns (status, stdout, stderr, path)."""
        path = self.dir / "tested.conf"
        path.write_text(text)
        balancers = find_balancers()
        status, out, err = self.command(find_binary(), "-c", str(path), *flags, *(["-b", balancers] if balancers else []))
        return status, out.decode(errors="replace"), err, str(path)

    # -- end --------------------------------------------------------------------------------------------------------

    def evidence(self):
        """What the children said last."""
        tails = []
        for child in self.children:
            lines = [line for line in child.stderr().splitlines() if line.strip()][-12:]
            tails.append(f"{child.name} (pid {child.process.pid}, status {child.process.poll()}): " + " | ".join(lines))
        return "; ".join(tails)

    def end(self):
        """The checks at the end of a test that passed: clean stop of each proxy, no violation at any origin."""
        for client in self.clients:
            client.close()
        for child in self.children:
            if isinstance(child, Fairlead):
                child.finish()
        for origin in self.origins:
            assert not origin.violations, f"{origin.name}: {origin.violations[:2]}"

    def close(self):
        for client in self.clients:
            client.close()
        for child in reversed(self.children):
            child.stop(signal.SIGKILL if isinstance(child, Fairlead) else signal.SIGTERM)
        end_adopted()
        for origin in self.origins:
            origin.close()
        shutil.rmtree(self.dir, ignore_errors=True)


def parse_listen(text):
    """"127.0.0.1:80", "[::1]:80", "unix:/path" as an address for RawClient."""
    if text.startswith("unix:"):
        return text[5:]
    host, _, port = text.rpartition(":")
    return (host.strip("[]"), int(port))


def same_fields(request, expected):
    """Asserts that each (name, value) holds at the origin; value None: absent; a list: exactly these lines in order."""
    for name, value in expected.items():
        got = request.all(name)
        want = [] if value is None else value if isinstance(value, list) else [value]
        assert got == want, f"{name}: {got}, expected {want}, in {request}"


def expect_status(response, *statuses):
    assert response.status in statuses, f"status {response.status}, expected {statuses}: {response}"
    return response


def wait_gone(connection, seconds=8.0):
    """Waits until the proxy has closed a connection at an origin."""
    return wait_for(lambda: connection.ended, scaled(seconds), "the proxy to close its upstream connection")

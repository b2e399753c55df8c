# SPDX-License-Identifier: GPL-3.0-or-later
"""What the benchmark scripts share: an origin, the proxies under test, and their processor time.

Everything listens on 127.0.0.1, on ports that are free now, writes into one temporary directory, and is ended by its process id.
"""
import atexit
import glob
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.environ.get("FAIRLEAD_BUILD", os.path.join(os.path.dirname(HERE), "build"))
BODIES = {"12": 12, "1k": 1024, "7k": 7 << 10, "100k": 100 << 10, "1m": 1 << 20}
TARGETS = ["floor", "floor-64k", "fairlead", "nginx", "haproxy"]
PROXY_CPU, LOAD_CPU = 0, 1

children = []
directory = tempfile.mkdtemp(prefix="fairlead-bench-")
os.chmod(directory, 0o755)  # an nginx worker started by root reads its files as another user


def cleanup():
    for child in children:
        stop(child)
    shutil.rmtree(directory, ignore_errors=True)


atexit.register(cleanup)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))


def path(name, text=None):
    full = os.path.join(directory, name)
    if text is not None:
        with open(full, "w") as file:
            file.write(text)
    return full


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def tool(name):
    found = shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/usr/local/sbin")
    if not found:
        sys.exit(f"{name} is not installed")
    return found


def built(name):
    """A program of the build tree, where make put it."""
    found = os.environ.get("FAIRLEAD") if name == "fairlead" else None
    found = found or os.path.join(BUILD, name)
    if not os.access(found, os.X_OK):
        sys.exit(f"{found} is not there: build first, or set FAIRLEAD_BUILD to the build directory")
    return found


def start(arguments, port, cpu, log):
    """Starts a server pinned to `cpu`, and returns when `port` answers."""
    output = open(path(log), "wb")
    child = subprocess.Popen(["taskset", "-c", str(cpu)] + arguments, stdout=output, stderr=subprocess.STDOUT,
                             stdin=subprocess.DEVNULL)
    child.log = path(log)
    children.append(child)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and child.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return child
        except OSError:
            time.sleep(0.05)
    sys.exit(f"{arguments[0]} did not start:\n" + open(path(log), errors="replace").read()[-2000:])


def stop(child):
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def nginx_config(name, port, http, location, access_log):
    temporary = "".join(f" {kind}_temp_path {directory}/{name}-{kind};"
                        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    return path(name + ".conf", f"""
daemon off; worker_processes 1; pid {directory}/{name}.pid; error_log {directory}/{name}-error.log;
events {{ worker_connections 16000; }}
http {{ {temporary} access_log {access_log}; keepalive_requests 100000000; keepalive_timeout 3600s;
  {http}
  server {{ listen 127.0.0.1:{port} backlog=4096; root {directory}; {location} }} }}
""")


def nginx(name, port, cpu, http="", location="", access_log="off"):
    config = nginx_config(name, port, http, location, access_log)
    return start([tool("nginx"), "-e", path(name + "-error.log"), "-c", config], port, cpu, name + ".out")


def start_origin():
    """An nginx that serves the bodies from memory or files; returns its port."""
    port = free_port()
    for name, size in BODIES.items():
        path(name, "x" * size)
    nginx("origin", port, LOAD_CPU, "sendfile on; tcp_nopush on; open_file_cache max=100;",
          'location = /12 { return 200 "Hello, world"; }')
    return port


def fairlead_config(port, upstream_port, extra=""):
    return path("fairlead.conf", f"""
workers = 1;
log: {{ access = "{directory}/fairlead-access.log"; error = "{directory}/fairlead-error.log"; }};
upstreams: {{ origin: {{ balance = "round_robin"; keepalive = 128; servers = ( {{ address = "127.0.0.1:{upstream_port}"; }} ); }}; }};
sites = ( {{ listen = [ "127.0.0.1:{port}" ];
  locations = ( {{ path = "/"; proxy_pass = "http://origin"; }} ); }} );
{extra}
""")


def start_fairlead(port, upstream_port, extra="", prefix=(), cpu=PROXY_CPU):
    config = fairlead_config(port, upstream_port, extra)
    modules = os.environ.get("FAIRLEAD_BALANCERS", os.path.join(BUILD, "balancers/.libs"))
    return start([*prefix, built("fairlead"), "-c", config, "-b", modules], port, cpu, "fairlead.out")


def start_haproxy(port, upstream_port):
    config = path("haproxy.cfg", f"""
global
  nbthread 1
  maxconn 8000
  log stdout format raw local0
defaults
  mode http
  log global
  option httplog
  timeout connect 5s
  timeout client 3600s
  timeout server 60s
  http-reuse always
listen l
  bind 127.0.0.1:{port}
  server origin 127.0.0.1:{upstream_port}
""")
    return start([tool("haproxy"), "-db", "-f", config], port, PROXY_CPU, "haproxy.out")


def start_target(name, upstream_port):
    """Starts one of TARGETS before the origin; returns its process and its port."""
    port = free_port()
    if name == "fairlead":
        return start_fairlead(port, upstream_port), port
    if name == "nginx":
        return nginx("nginx", port, PROXY_CPU,
                     f"upstream o {{ server 127.0.0.1:{upstream_port}; keepalive 128; }} "
                     "proxy_http_version 1.1; proxy_set_header Connection \"\";",
                     "location / { proxy_pass http://o; }", path("nginx-access.log")), port
    if name == "haproxy":
        return start_haproxy(port, upstream_port), port
    size = "65536" if name == "floor-64k" else "16384"
    return start([built("benchmarks/floor"), str(port), str(upstream_port), size], port, PROXY_CPU, name + ".out"), port


def processes(pid):
    """The process and all that descend from it."""
    found = [pid]
    for children_file in glob.glob(f"/proc/{pid}/task/*/children"):
        for child in open(children_file).read().split():
            found += processes(int(child))
    return found


def cpu_seconds(pid):
    """Processor time that every thread of the process and of its children has used."""
    total = 0
    for process in processes(pid):
        for file in glob.glob(f"/proc/{process}/task/*/schedstat"):
            total += int(open(file).read().split()[0])
    return total / 1e9


def memory(pid):
    """Private and shared memory of the process and its children, in bytes: (resident, proportional)."""
    totals = {"Rss": 0, "Pss": 0}
    for process in processes(pid):
        for line in open(f"/proc/{process}/smaps_rollup"):
            key, _, rest = line.partition(":")
            if key in totals:
                totals[key] += int(rest.split()[0]) * 1024
    return totals["Rss"], totals["Pss"]


def wrk(port, body, seconds, connections=64):
    """Loads http://127.0.0.1:port/body; returns (requests, requests per second). Errors end the program."""
    result = subprocess.run(["taskset", "-c", str(LOAD_CPU), tool("wrk"), "-t1", f"-c{connections}", f"-d{seconds}s",
                             f"http://127.0.0.1:{port}/{body}"], capture_output=True, text=True)
    words = result.stdout
    if result.returncode or "Non-2xx" in words or "Socket errors" in words:
        sys.exit(f"wrk: errors at port {port}:\n{words}{result.stderr}")
    requests = int(words.split(" requests in")[0].split()[-1])
    rate = float(words.split("Requests/sec:")[1].split()[0])
    return requests, rate


def raise_file_limit():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard

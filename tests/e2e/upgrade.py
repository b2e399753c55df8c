# SPDX-License-Identifier: GPL-3.0-or-later
"""
The upgrade in place and the drain, as clients see them: nobody is refused while one process takes over from the other, what is known
goes along, and an upgrade that fails leaves the old process as it was.
"""

import os
import signal
import socket
import sys
import threading
from pathlib import Path

from client import RawClient
from harness import Skip, document, expect_status, find_binary, scaled
from origin import hang
from reload import Held, group, hold, status, who
from wire import wait_for

PATIENCE = 8


def pid_of(t):
    return t.dir / "pid"


def begin(t, config, **options):
    """A proxy with a pid file, which it has written."""
    proxy = t.start({**config, "pid": str(pid_of(t))}, **options)
    wait_for(lambda: pid_of(t).exists() and pid_of(t).read_text().strip() == str(proxy.pid), scaled(PATIENCE), "the pid file")
    return proxy


def plain(t, **top):
    return t.config([{"path": "/", "respond": {"status": 200, "body": "x"}}], **top)


def await_log(proxy, text):
    wait_for(lambda: text in proxy.stderr(), scaled(PATIENCE), f"{text!r} in the log: {proxy.stderr()[-600:]}")


def fail_upgrade(proxy):
    """Tells it to upgrade, and waits until it says that it goes on."""
    before = proxy.stderr().count("this process goes on") + proxy.stderr().count("not upgraded")
    proxy.send_signal(signal.SIGUSR2)
    wait_for(lambda: proxy.stderr().count("this process goes on") + proxy.stderr().count("not upgraded") > before, scaled(15),
             f"the end of the upgrade: {proxy.stderr()[-600:]}")


# -- The upgrade ------------------------------------------------------------------------------------------------------


def test_the_old_process_ends_with_its_last_request(t):
    """The new one answers while the old one holds a request; that is answered, and then the old one is gone."""
    a = Held(t)
    proxy = begin(t, group(t, [a]))
    held, = hold(t, proxy, a)
    new = proxy.upgrade(pid_of(t))
    await_log(proxy, "this process drains")
    assert who(t, proxy) == "a" and proxy.process.poll() is None
    wait_for(lambda: status(t)["pid"] == new, scaled(PATIENCE), "the control socket of the new process")
    a.gate.set()
    assert expect_status(held.response(), 200).body == b"a"
    assert proxy.wait(PATIENCE) == 0
    assert who(t, proxy) == "a"


def test_nobody_is_refused(t):
    """Clients that connect in a loop are all answered over two upgrades in a row."""
    proxy = begin(t, plain(t, workers=2))
    done, failures, count = threading.Event(), [], [0]

    def connect():
        while not done.is_set():
            try:
                with RawClient(proxy.address, timeout=scaled(PATIENCE)) as client:
                    expect_status(client.get("/", "Connection: close"), 200)
                    count[0] += 1
            except Exception as error:  # each of them is what the test is about
                failures.append(repr(error))
                return
    threads = [threading.Thread(target=connect, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    proxy.upgrade(pid_of(t))
    assert proxy.wait(PATIENCE) == 0
    proxy.upgrade(pid_of(t))
    wanted = count[0] + 50
    wait_for(lambda: count[0] >= wanted or failures, scaled(PATIENCE), "answers after the upgrades")
    done.set()
    for thread in threads:
        thread.join(scaled(PATIENCE))
    assert not failures, failures


def test_what_is_known_goes_along(t):
    """A server that is down is not tried before it was checked again, and a sticky cookie of the old process is valid."""
    a, b, c = Held(t, "a"), Held(t, "b"), Held(t, "c")
    b.health = 500
    config = group(t, [a, b, c], {"sticky": {"type": "insert"},
                                  "health": {"type": "http", "path": "/healthz", "interval": "2s", "fast_interval": "2s", "fall": 1, "rise": 1000}})
    proxy = begin(t, config)
    wait_for(lambda: status(t)["servers_serving"] == 2, scaled(PATIENCE), "b to be down")
    b.health = 200
    response = t.client(proxy).get("/")
    cookie = response.all("Set-Cookie")[0].split(";")[0]
    new = proxy.upgrade(pid_of(t))
    assert {who(t, proxy) for _ in range(12)} == {"a", "c"}
    assert {who(t, proxy, "/", "Cookie: " + cookie) for _ in range(8)} == {response.body.decode()}
    wait_for(lambda: status(t)["pid"] == new, scaled(PATIENCE), "the control socket of the new process")
    assert status(t)["servers_serving"] == 2


def test_unix_listeners_go_along(t):
    """The file stays the same, and is there after the old process has ended."""
    path = t.dir / "web.sock"
    config = plain(t)
    config["sites"][0]["listen"].append(f"unix:{path}")
    proxy = begin(t, config)
    inode = path.stat().st_ino
    proxy.upgrade(pid_of(t))
    assert proxy.wait(PATIENCE) == 0
    assert path.stat().st_ino == inode and who(t, str(path)) == "x"


def test_a_broken_configuration_is_not_taken(t):
    """The log tells why, the old process serves, and after the repair the upgrade succeeds."""
    proxy = begin(t, plain(t))
    good = proxy.config_path.read_text()
    proxy.config_path.write_text("workers = -1;\n")
    fail_upgrade(proxy)
    assert "fairlead0.conf:1" in proxy.stderr()
    assert who(t, proxy) == "x" and pid_of(t).read_text().strip() == str(proxy.process.pid)
    proxy.config_path.write_text(good)
    proxy.upgrade(pid_of(t))
    assert who(t, proxy) == "x"


def test_an_upgrade_that_fails_late_leaves_the_files_of_sockets(t):
    """The new process has taken the sockets over when it finds that its user is not known."""
    if os.geteuid() != 0:
        raise Skip("only root becomes another user")
    path, socket_path = t.dir / "web.sock", t.dir / "control.sock"
    config = plain(t, control={"socket": str(socket_path), "mode": "0600"})
    config["sites"][0]["listen"].append(f"unix:{path}")
    proxy = begin(t, config)
    proxy.config_path.write_text(document({**config, "user": "no-such-user"}))
    fail_upgrade(proxy)
    assert path.exists() and socket_path.exists()
    assert who(t, str(path)) == "x" and status(t)["pid"] == proxy.process.pid


def replace(binary, text=None, target=None, mode=0o755):
    binary.unlink(missing_ok=True)
    if target:
        binary.symlink_to(target)
    elif text is not None:
        binary.write_text(text)
        binary.chmod(mode)


def test_a_binary_that_is_none_is_survived(t):
    """Gone, not executable, garbage, or a program that ends at once: the old one serves on, and a good one is taken then."""
    binary = t.dir / "fairlead"
    replace(binary, target=find_binary())
    proxy = begin(t, plain(t), binary=str(binary))
    for bad in ({}, {"text": "#!/bin/sh\n", "mode": 0o644}, {"text": "garbage"}, {"text": "#!/bin/sh\nexit 1\n"}, {"target": "/bin/true"}):
        replace(binary, **bad)
        fail_upgrade(proxy)
        assert who(t, proxy) == "x" and pid_of(t).read_text().strip() == str(proxy.process.pid), bad
    replace(binary, target=find_binary())
    proxy.upgrade(pid_of(t))
    assert who(t, proxy) == "x"


def test_one_upgrade_at_a_time(t):
    """While a new process is not ready, a second upgrade is refused, and all is served; a reload waits until it is over."""
    binary = t.dir / "fairlead"
    replace(binary, target=find_binary())
    proxy = begin(t, plain(t), binary=str(binary))
    go_on = t.dir / "go_on"
    replace(binary, text=f"#!/bin/sh\nwhile ! [ -e {go_on} ]; do sleep 0.05; done\nexit 1\n")
    proxy.send_signal(signal.SIGUSR2)
    await_log(proxy, "upgrading binary")
    proxy.send_signal(signal.SIGUSR2)
    await_log(proxy, "not upgraded: an upgrade is under way")
    proxy.send_signal(signal.SIGHUP)
    assert who(t, proxy) == "x" and "reloaded file" not in proxy.stderr()
    go_on.touch()
    await_log(proxy, "reloaded file")
    assert proxy.stderr().index("this process goes on") < proxy.stderr().index("reloaded file")


def test_systemd_is_told(t):
    """READY at the start, RELOADING at a reload, MAINPID at an upgrade, STOPPING at the end."""
    path = str(t.dir / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(path)
        systemd.settimeout(scaled(PATIENCE))

        def await_message(part):
            while part not in (text := systemd.recv(4096).decode()):
                pass
            return text
        config = {**plain(t), "pid": str(pid_of(t))}
        proxy = begin(t, config, env={**os.environ, "NOTIFY_SOCKET": path})
        await_message("READY=1")
        proxy.reload(config)
        assert "MONOTONIC_USEC=" in await_message("RELOADING=1")
        await_message("READY=1")
        new = proxy.upgrade(pid_of(t))
        await_message(f"MAINPID={new}")
        proxy.send_signal(signal.SIGQUIT)
        await_message("STOPPING=1")


ACTIVATE = """#!{python}
import os, socket
made = socket.socket(); made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
made.bind(("127.0.0.1", {port})); made.listen(128)
if made.fileno() != 3: os.dup2(made.fileno(), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
import sys
os.execv({binary!r}, [{binary!r}] + sys.argv[1:])
"""


def inode_of_port(port):
    """The inode of the one socket that listens on a port of 127.0.0.1; None when there is not exactly one."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    found = [row[9] for row in rows if row[1] == f"0100007F:{port:04X}" and row[3] == "0A"]
    return found[0] if len(found) == 1 else None


def test_sockets_of_systemd_are_taken(t):
    """The socket that came with LISTEN_FDS is the one that serves, and no second one is made beside it."""
    config = plain(t)
    port = int(config["sites"][0]["listen"][0].split(":")[1])
    script = t.dir / "activate"
    replace(script, text=ACTIVATE.format(python=sys.executable, port=port, binary=find_binary()))
    proxy = begin(t, config, binary=str(script))
    inode = inode_of_port(port)
    assert inode and os.readlink(f"/proc/{proxy.pid}/fd/3") == f"socket:[{inode}]", (inode, proxy.stderr()[-500:])
    assert who(t, proxy) == "x"


# -- The drain --------------------------------------------------------------------------------------------------------


def test_half_a_head_and_a_pipeline_are_finished(t):
    """5 of issue 4: what had begun when the stop came is answered, and what was sent behind it either is or meets a clean end."""
    a = Held(t)
    proxy = t.start(t.config([{"path": "/", "proxy_pass": a.url}], shutdown_idle_timeout="5s"))
    half, piped = t.client(proxy), t.client(proxy)
    half.send(b"GET /half HTTP/1.1\r\nHo")
    piped.send(b"GET /held HTTP/1.1\r\nHost: a\r\n\r\nGET /second HTTP/1.1\r\nHost: a\r\n\r\n")
    a.wait_asked(1)
    proxy.send_signal(signal.SIGQUIT)
    await_log(proxy, "stopping signal=QUIT")
    half.send(b"st: a\r\n\r\n")
    assert "close" in expect_status(half.response(), 200).all("Connection")
    a.gate.set()
    responses, ended = piped.all_responses()
    assert responses and all(one.status == 200 and one.complete for one in responses) and ended == "eof", (responses, ended)
    half.close()
    piped.close()
    assert proxy.wait(PATIENCE) == 0


def test_the_queue_is_served_before_the_end(t):
    """5 of issue 4: requests that wait for a place get one."""
    a = Held(t)
    proxy = t.start(group(t, [{"address": a.address, "max_conns": 1}], {"queue": {"size": 10}}))
    clients = hold(t, proxy, a)
    for i in range(3):
        clients.append(t.client(proxy))
        clients[-1].send(b"GET /queued HTTP/1.1\r\nHost: a\r\n\r\n")
    wait_for(lambda: status(t)["exchanges"] == 4, scaled(PATIENCE), "three requests to wait")
    proxy.send_signal(signal.SIGQUIT)
    await_log(proxy, "stopping signal=QUIT")
    a.gate.set()
    for client in clients:
        expect_status(client.response(), 200)
    assert proxy.wait(PATIENCE) == 0


def test_the_drain_of_an_upgraded_process_is_bounded(t):
    """shutdown_timeout holds for the old process of an upgrade."""
    a = t.origin(hang)
    proxy = begin(t, t.config([{"path": "/", "proxy_pass": a.url}], shutdown_timeout="300ms"))
    client = t.client(proxy)
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    a.wait_requests(1)
    proxy.upgrade(pid_of(t))
    assert proxy.wait(PATIENCE) == 0
    await_log(proxy, "stopping at once reason=shutdown_timeout")
    assert client.ending() in ("eof", "reset")

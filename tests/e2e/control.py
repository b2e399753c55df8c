# SPDX-License-Identifier: GPL-3.0-or-later
"""
The control socket as its users see it: what fairleadctl and a bare connection are told, who may connect, and that nobody who misuses it disturbs the proxy. Changes are
judged by who serves, not by what is said about them.
"""

import csv
import grp
import io
import json
import os
import pwd
import re
import socket
import stat
import threading
import time
from pathlib import Path

import harness
from client import RawClient
from harness import find_binary, scaled
from wire import wait_for

PATIENCE = 8


def control(t, **keys):
    return {"socket": str(t.dir / "control.sock"), "mode": "0600", "state": str(t.dir / "state"), **keys}


def ctl(t, *words):
    """(status, stdout, stderr) of fairleadctl."""
    status, out, err = t.command(str(Path(find_binary()).parent / "fairleadctl"), "-S", str(t.dir / "control.sock"), *words)
    return status, out.decode(errors="replace"), err


def await_socket(t):
    """The proxy's ports are open a moment before."""
    def is_there():
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(t.dir / "control.sock")) == 0

    if not getattr(t, "control_is_there", False):
        wait_for(is_there, scaled(PATIENCE), "the control socket")
        t.control_is_there = True


def told(t, *words):
    await_socket(t)
    status, out, err = ctl(t, *words)
    assert status == 0, f"{words}: status {status}, {err}"
    return out


def told_json(t, *words):
    return json.loads(told(t, *words, "--json"))


def refused(t, *words):
    await_socket(t)
    status, out, err = ctl(t, *words)
    assert status == 1 and out == "", f"{words}: status {status}, {out[:200]}"
    return err


def connect(t):
    await_socket(t)
    made = socket.socket(socket.AF_UNIX)
    made.settimeout(scaled(PATIENCE))
    made.connect(str(t.dir / "control.sock"))
    return made


def read_all(connection):
    parts = []
    try:
        while part := connection.recv(65536):
            parts.append(part)
    except ConnectionResetError:  # it was closed with bytes of ours unread
        pass
    return b"".join(parts)


def say(t, data):
    """The answer to raw bytes, the end of our side behind them."""
    with connect(t) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        return read_all(connection)


class Named:
    """An origin that answers with its name, and can be made to wait."""

    def __init__(self, t, name):
        self.name, self.gate = name, threading.Event()
        self.gate.set()
        self.origin = t.origin(self.answer, name=name)
        self.address = self.origin.address

    def answer(self, conn, request):
        self.gate.wait(scaled(PATIENCE))
        conn.respond(body=self.name.encode())


def start(t, *names, upstream=None, **top):
    named = [Named(t, name) for name in names]
    proxy = t.pool([{"address": one.address} for one in named], upstream, control=control(t), **top)
    return (proxy, *named)


def who(t, proxy, requests=12):
    client = t.client(proxy)
    return sorted({client.get("/").body.decode() for _ in range(requests)})


# -- What is told -----------------------------------------------------------------------------------------------------


def test_status_tells_what_was_served(t):
    proxy, _ = start(t, "a", workers=2)
    client = t.client(proxy)
    for _ in range(5):
        client.get("/")
    status = wait_for(lambda: (s := told_json(t, "status"))["responses"] == 5 and s["idle_links"] == 1 and s, scaled(PATIENCE), "five responses")
    assert status["pid"] == proxy.process.pid and status["workers"] == 2, status
    assert status["requests"] == 5 and status["clients"] == 1 and status["idle_links"] == 1, status
    assert status["servers"] == 1 and status["servers_serving"] == 1 and status["pools_down"] == 0, status
    text = told(t, "status")
    assert f"pid {proxy.process.pid}" in text and "1 open" in text, text


def test_version_and_help(t):
    start(t, "a")
    assert re.fullmatch(r"fairlead \d+\.\d+\.\d+\n", told(t, "version"))
    listed = told(t, "help")
    for command in ("status", "servers", "server add", "server remove", "sessions", "counters", "reload", "reopen", "upgrade", "quit", "stop", "version"):
        assert f"\n{command}" in "\n" + listed, f"{command} is not in help"


def test_servers_have_haproxys_columns(t):
    proxy, a, b = start(t, "a", "b")
    who(t, proxy, 10)
    rows = list(csv.DictReader(io.StringIO(told(t, "servers", "group", "--csv").removeprefix("# "))))
    assert [row["svname"] for row in rows] == [a.address, b.address, "BACKEND"], rows
    assert [row["stot"] for row in rows] == ["5", "5", "10"] and [row["scur"] for row in rows] == ["0", "0", "0"], rows
    assert rows[2]["act"] == "2" and rows[2]["status"] == "UP" and rows[2]["algo"] == "round_robin", rows
    same = told_json(t, "servers")
    assert [(row["svname"], row["stot"]) for row in same] == [(row["svname"], int(row["stot"])) for row in rows], same
    table = told(t, "servers").splitlines()
    assert len(table) == 4 and table[0].split()[:4] == ["pxname", "svname", "status", "weight"], table


def test_servers_show_their_checks(t):
    good, bad = t.origin(), t.origin(lambda conn, request: conn.respond(503))
    t.pool([good, bad], {"health": {"type": "http", "path": "/", "interval": "50ms", "timeout": "5s", "fall": 1}}, control=control(t))

    def rows():
        found = {row["svname"]: row for row in told_json(t, "servers", "group")}
        return found if all(found[one.address].get("check_status") for one in (good, bad)) else None

    found = wait_for(rows, scaled(PATIENCE), "both to be checked")
    assert found[good.address]["check_status"] == "L7OK" and found[good.address]["status"] == "UP", found
    assert found[bad.address]["check_status"] == "L7STS" and found[bad.address]["check_code"] == 503, found
    assert found[bad.address]["status"] == "DOWN" and found[bad.address]["chkdown"] == 1 and found[bad.address]["chkfail"] >= 1, found
    assert found["BACKEND"]["act"] == 1, found


def test_counters_are_those_of_the_log(t):
    proxy, _ = start(t, "a", workers=2)
    for _ in range(3):
        who(t, proxy, 4)
    wait_for(lambda: told_json(t, "status")["responses"] == 12, scaled(PATIENCE), "the responses to be counted")
    for client in t.clients:
        client.close()
    wait_for(lambda: told_json(t, "status")["clients"] == 0, scaled(PATIENCE), "the clients to be gone")
    counters = told_json(t, "counters")
    proxy.finish()
    logged = proxy.counters()
    for name in ("connections", "requests", "responses", "upstream_connections", "upstream_reused", "requests_bad"):
        assert counters[name] == logged[name], f"{name}: {counters[name]}, in the log {logged[name]}"
    assert counters["stale"] == 0


def test_what_syslog_does_not_take_is_shown(t):
    """A daemon that reads nothing: each place that tells of lost lines tells of these, and the file has lost none."""
    silent = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    silent.bind(str(t.dir / "log.sock"))
    proxy, _ = start(t, "a", log={"access": str(t.dir / "access.log"), "access_format": "$uri", "access_syslog": True,
                                  "syslog_server": f"unix:{t.dir}/log.sock"}, keepalive_requests=100000)
    client = t.client(proxy)

    def loses():
        for _ in range(200):
            client.get("/" + "a" * 3000)
        return told_json(t, "status")["syslog_dropped"]

    wait_for(loses, scaled(PATIENCE), "lines to be lost")
    client.close()
    status = told_json(t, "status")
    counters = told_json(t, "counters")
    names = [name for name in counters if "log" in name]
    assert names == ["log_lines", "log_dropped", "log_dropped_access", "log_dropped_error", "log_write_errors", "syslog_lines", "syslog_dropped"], names
    assert status["syslog_dropped"] <= counters["syslog_dropped"] and status["syslog_lines"] > 0 and counters["log_dropped"] == 0, counters
    assert all(name in status for name in names), status
    text = told(t, "status")
    dropped = int(re.search(r"^syslog +\d+ lines, (\d+) dropped$", text, re.M)[1])
    assert dropped >= status["syslog_dropped"] and re.search(r"^log +\d+ lines, 0 dropped, 0 write errors$", text, re.M), text
    assert re.search(r"log lost +[1-9]", told(t, "watch", "-n", "1"))
    silent.close()


def test_sessions_show_what_is_open(t):
    proxy, a = start(t, "a")
    idle, busy = t.client(proxy), t.client(proxy)
    idle.get("/")
    a.gate.clear()
    busy.send(b'GET /slow"\x7e HTTP/1.1\r\nHost: x\r\n\r\n')
    found = wait_for(lambda: (s := told_json(t, "sessions")["sessions"]) and any("request" in one for one in s) and s, scaled(PATIENCE), "a busy session")
    by_state = {one["state"]: one for one in found}
    assert set(by_state) == {"IDLE", "BUSY"}, found
    assert by_state["BUSY"]["request"] == 'GET /slow\\x22~' and by_state["BUSY"]["exchange"] == "AWAITING", found
    assert by_state["BUSY"]["pool"] == "group" and by_state["BUSY"]["server"] == a.address, found
    assert by_state["IDLE"]["requests"] == 1 and by_state["IDLE"]["bytes_out"] > 0, found
    assert told_json(t, "status")["exchanges"] == 1
    assert "AWAITING" in told(t, "sessions")
    a.gate.set()
    assert busy.response().status == 200


def test_many_sessions_are_cut_and_counted(t):
    proxy, _ = start(t, "a", workers=2)
    clients = [t.client(proxy) for _ in range(1100)]
    wait_for(lambda: told_json(t, "status")["clients"] == len(clients), scaled(PATIENCE), "the clients to be accepted")
    answer = told_json(t, "sessions")
    assert len(answer["sessions"]) <= 1000 and answer["more"] == 1100 - len(answer["sessions"]) >= 100, answer["more"]
    assert told(t, "sessions").endswith(f"\n{answer['more']} more\n")


def test_watch_prints_where_there_is_no_terminal(t):
    proxy, a = start(t, "a")
    who(t, proxy, 3)
    out = told(t, "watch", "-n", "1")
    assert out.startswith("  fairlead ") and "\033" not in out and a.address in out, out
    status, _, err = ctl(t, "watch", "-n", "0")
    assert status == 2 and "usage" in err


# -- What is refused --------------------------------------------------------------------------------------------------


def test_errors_say_what_would_be_right(t):
    start(t, "a")
    for words, part in [
        (("statsu",), 'did you mean "status"?'),
        (("servers", "gruop"), 'did you mean "group"?'),
        (("server", "group/127.0.0.1:1", "down"), '"servers group" lists them'),
        (("server", "gruop/127.0.0.1:1", "down"), 'did you mean "group"?'),
        (("server", "group", "down"), "POOL/NAME"),
        (("server", "group/127.0.0.1:1"), "usage: server"),
        (("server", "add", "group/localhost:80"), "10.0.0.5:8080"),
        (("server", "add", "group/127.0.0.1:9", "wieght=3"), "weight=N"),
        (("server", "add", "group/127.0.0.1:9", "weight=65536"), "0 to 65535"),
        (("status", "--jsno"), 'did you mean "--json"?'),
        (("status", "--persist"), "usage: status [--json]"),
        (("servers", "--json", "--csv"), "either"),
    ]:
        err = refused(t, *words)
        assert part in err, f"{words}: {err}"


def test_nothing_persists_without_a_state_file(t):
    one = t.origin()
    t.pool([one], control={"socket": str(t.dir / "control.sock")})
    assert '"state"' in refused(t, "server", f"group/{one.address}", "down", "--persist")


def test_fairleadctl_without_a_process(t):
    status, _, err = ctl(t, "status")
    assert status == 1 and "is Fairlead running" in err, err
    status, _, err = ctl(t)
    assert status == 2 and "usage" in err
    status, out, _ = ctl(t, "help")
    assert status == 0 and "sessions" in out
    status, _, err = ctl(t, "server", "a b")
    assert status == 2 and "space" in err


GARBAGE = [b"\n", b"\0\n", b"GET / HTTP/1.1\r\n", b"status \xff\n", b"status\x1b[2J\n", b" \n", b"--json\n", b"a " * 40 + b"\n", b"x" * 4095 + b"\n", b"x" * 10000,
           b"status --json --json --nothing\n", b"server add /\n", b"server add group/\n", b"server remove //\n"]


def test_garbage_is_answered_and_forgotten(t):
    proxy, _ = start(t, "a")
    for data in GARBAGE:
        answer = say(t, data)
        assert answer.startswith(b"error ") and answer.count(b"\n") == 1 and answer.endswith(b"\n"), f"{data[:40]}: {answer[:200]}"
    assert say(t, b"") == b""
    assert say(t, b"version").startswith(b"ok\nfairlead ")
    assert say(t, b"version\r\nstatus\n").count(b"ok\n") == 1
    assert who(t, proxy) == ["a"]


# -- Who may, and who is slow -----------------------------------------------------------------------------------------


def test_the_socket_is_its_owners(t):
    me = pwd.getpwuid(os.getuid()).pw_name
    group = grp.getgrgid(os.getgid()).gr_name
    proxy = t.proxy(t.origin(), control=control(t, owner=me, group=group, mode="0640"))
    await_socket(t)
    status = os.stat(t.dir / "control.sock")
    assert stat.S_ISSOCK(status.st_mode) and stat.S_IMODE(status.st_mode) == 0o640, oct(status.st_mode)
    assert status.st_uid == os.getuid() and status.st_gid == os.getgid()
    proxy.finish()
    assert not (t.dir / "control.sock").exists(), "the socket's file is left"


def test_an_unknown_owner_is_an_error_at_start(t):
    path = t.dir / "tested.conf"
    path.write_text(harness.document({"control": control(t, owner="nobody-of-that-name"),
                                      "sites": [{"listen": [f"127.0.0.1:{harness.free_port()}"], "locations": [{"path": "/", "respond": {"status": 204}}]}]}))
    status, _, err = t.command(find_binary(), "-c", str(path))
    assert status == 1 and 'the owner "nobody-of-that-name"' in err, err
    assert not (t.dir / "control.sock").exists()


def test_a_stale_socket_is_replaced_and_a_live_one_is_not(t):
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(t.dir / "control.sock"))
    left.close()
    start(t, "a")
    told(t, "version")
    second = t.start(t.config([{"path": "/", "respond": {"status": 204}}], control=control(t)), wait=False)
    assert second.wait(PATIENCE) == 1 and "control.sock" in second.stderr() and "in use" in second.stderr(), second.stderr()
    second.checked = True
    told(t, "version")


def test_what_is_no_socket_is_never_removed(t):
    (t.dir / "control.sock").write_text("precious")
    proxy = t.start(t.config([{"path": "/", "respond": {"status": 204}}], control=control(t)), wait=False)
    assert proxy.wait(PATIENCE) == 1 and "control.sock" in proxy.stderr(), proxy.stderr()
    proxy.checked = True
    assert (t.dir / "control.sock").read_text() == "precious"


def test_a_hundred_at_once_are_all_answered(t):
    start(t, "a", workers=2)
    answers = []

    def ask():
        answers.append(say(t, b"status --json\n"))

    threads = [threading.Thread(target=ask) for _ in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(scaled(PATIENCE))
    assert len(answers) == 100
    for answer in answers:
        assert answer.startswith(b"ok\n") and json.loads(answer[3:])["workers"] == 2, answer[:200]


def test_who_does_not_read_is_dropped(t):
    """So many servers that the answer does not fit into the socket's buffer."""
    group = {"servers": [{"address": f"127.0.0.1:{20000 + i}"} for i in range(1000)]}
    proxy = t.proxy(locations=[{"path": "/", "respond": {"status": 200}}], upstreams={f"group{i}": group for i in range(4)}, control=control(t))
    client = t.client(proxy)
    assert client.get("/").status == 200 and told(t, "version")  # all that the process opens at its start is open
    descriptors = proxy.descriptors()
    deaf = [connect(t) for _ in range(16)]
    for one in deaf:
        one.sendall(b"servers --json\n")
    assert wait_for(lambda: proxy.descriptors() >= descriptors + 16, scaled(PATIENCE), "all places to be taken")
    assert client.get("/").status == 200, "the proxy waits for them"
    assert told(t, "version"), "others wait for longer than they are given"
    wait_for(lambda: proxy.descriptors() <= descriptors, scaled(2 * PATIENCE), "the deaf to be dropped")
    for one in deaf:
        one.close()


def test_who_says_nothing_is_dropped(t):
    proxy, _ = start(t, "a")
    mute = [connect(t) for _ in range(20)]
    assert told(t, "version")
    wait_for(lambda: all(one.recv(1) == b"" for one in mute), scaled(2 * PATIENCE), "the mute to be dropped")
    assert who(t, proxy) == ["a"]


def test_the_administrator_is_served_without_descriptors(t):
    proxy = t.proxy(t.origin(), files_limit=64, control=control(t))
    await_socket(t)
    crowd = [RawClient(proxy.address) for _ in range(90)]
    wait_for(lambda: proxy.descriptors() >= 64, scaled(PATIENCE), "all descriptors to be taken")
    for _ in range(3):
        assert told(t, "version") and told_json(t, "status")["clients"] > 30
    for one in crowd:
        one.close()


def test_the_silent_lock_nobody_out(t):
    start(t, "a")
    mute = [connect(t) for _ in range(120)]
    assert told(t, "version")
    assert mute[-1].send(b"version\n") and mute[-1].recv(3) == b"ok\n", "more are sent away than must be"
    for one in mute:
        one.close()


def test_who_reads_slowly_gets_the_whole_answer(t):
    group = {"servers": [{"address": f"127.0.0.1:{20000 + i}"} for i in range(1000)]}
    t.proxy(locations=[{"path": "/", "respond": {"status": 200}}], upstreams={f"group{i}": group for i in range(4)}, control=control(t))
    with connect(t) as connection:
        connection.sendall(b"servers --json\n")
        parts = []
        while part := connection.recv(30000):
            parts.append(part)
            time.sleep(0.005)
    answer = b"".join(parts)
    assert answer.startswith(b"ok\n") and len(json.loads(answer[3:])) == 4 * 1001


# -- What is done -----------------------------------------------------------------------------------------------------


def test_reopen_and_quit(t):
    proxy, _ = start(t, "a", log={"error": str(t.dir / "error.log")})
    os.rename(t.dir / "error.log", t.dir / "error.log.1")
    told(t, "reopen")
    wait_for((t.dir / "error.log").exists, scaled(PATIENCE), "the log to be there again")
    told(t, "quit")
    assert proxy.wait(PATIENCE) == 0


def test_a_reopen_that_fails_is_told(t):
    """To who asked, so that logrotate notices; and in the error log, which was there to be written."""
    path = t.dir / "logs" / "access.log"
    path.parent.mkdir()
    proxy, _ = start(t, "a", log={"access": str(path), "error": str(t.dir / "error.log")})
    path.unlink()
    path.parent.rmdir()
    err = refused(t, "reopen")
    assert f'open() "{path}" failed (2: No such file or directory), the old file goes on' in err, err
    wait_for(lambda: f'log cannot be opened anew, the old file goes on path={path} error="No such file' in (t.dir / "error.log").read_text(),
             scaled(PATIENCE), "the word in the error log")
    assert told_json(t, "status")["log_write_errors"] == 1
    path.parent.mkdir()
    told(t, "reopen")
    who(t, proxy, 1)
    wait_for(path.read_text, scaled(PATIENCE), "a line in the new file")


def test_stop(t):
    proxy, _ = start(t, "a")
    told(t, "stop")
    assert proxy.wait(PATIENCE) == 0


# -- What is changed --------------------------------------------------------------------------------------------------


def changed(t, *words):
    return told(t, "server", *words)


def state_of(t, one):
    return next(row for row in told_json(t, "servers", "group") if row["svname"] == one.address)


def test_down_and_up_act_at_once_for_all_workers(t):
    proxy, a, b = start(t, "a", "b", workers=2)
    changed(t, f"group/{a.address}", "down")
    for _ in range(8):  # each by whichever worker gets the connection
        assert who(t, proxy, 4) == ["b"]
    assert state_of(t, a)["status"] == "MAINT"
    changed(t, f"group/{a.address}", "up")
    for _ in range(8):
        assert who(t, proxy, 4) == ["a", "b"]
    assert state_of(t, a)["status"] == "UP"


def test_drain_lets_the_request_end(t):
    proxy, a, b = start(t, "a", "b")
    changed(t, f"group/{b.address}", "down")
    a.gate.clear()
    busy = t.client(proxy)
    busy.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    wait_for(lambda: state_of(t, a)["scur"] == 1, scaled(PATIENCE), "the request to arrive")
    changed(t, f"group/{b.address}", "up")
    changed(t, f"group/{a.address}", "drain")
    assert state_of(t, a)["status"] == "DRAIN" and who(t, proxy) == ["b"]
    a.gate.set()
    assert busy.response().body == b"a"
    assert state_of(t, a)["scur"] == 0


def test_weight_changes_the_shares(t):
    proxy, a, _ = start(t, "a", "b")
    changed(t, f"group/{a.address}", "weight", "3")
    client = t.client(proxy)
    answers = [client.get("/").body for _ in range(40)]
    assert answers.count(b"a") == 30, answers.count(b"a")
    assert state_of(t, a)["weight"] == 3
    changed(t, f"group/{a.address}", "weight", "0")
    assert who(t, proxy) == ["b"]


def test_a_server_comes_and_goes(t):
    proxy, a = start(t, "a")
    b = Named(t, "b")
    changed(t, "add", f"group/{b.address}", "weight=2", "max_conns=50")
    assert who(t, proxy) == ["a", "b"]
    assert state_of(t, b)["weight"] == 2 and state_of(t, b)["slim"] == 50
    assert "already" in refused(t, "server", "add", f"group/{b.address}")
    changed(t, "remove", f"group/{a.address}")
    assert who(t, proxy) == ["b"]
    assert "last" in refused(t, "server", "remove", f"group/{b.address}")
    changed(t, "add", f"group/{a.address}", "backup")
    assert who(t, proxy) == ["b"]
    changed(t, f"group/{b.address}", "down")
    assert who(t, proxy) == ["a"]


def test_a_reload_forgets_what_does_not_persist(t):
    proxy, a, b = start(t, "a", "b")
    changed(t, f"group/{a.address}", "down")
    told(t, "reload")
    assert who(t, proxy) == ["a", "b"]
    changed(t, f"group/{a.address}", "down", "--persist")
    told(t, "reload")
    assert who(t, proxy) == ["b"]


def configure(t, proxy, *named, upstream="group"):
    """The files of a running proxy, with these servers behind its site."""
    config = t.config([{"path": "/", "proxy_pass": f"http://{upstream}"}], control=control(t),
                      upstreams={upstream: {"servers": [{"address": one.address} for one in named]}})
    config["sites"][0]["listen"] = [":".join(map(str, proxy.address))]
    (t.dir / "fairlead0.conf").write_text(harness.document(config))


def test_a_change_that_cannot_be_kept_says_that_it_acts(t):
    proxy, a, b = start(t, "a", "b")
    (t.dir / "state.new").mkdir()
    assert "the server is changed, but the next reload forgets it" in refused(t, "server", f"group/{b.address}", "down", "--persist")
    assert who(t, proxy) == ["a"]
    line = f"is answered with an error pool=group server={b.address} change=down answer=\"the server is changed, but"
    wait_for(lambda: line in proxy.stderr() and "not changed" not in proxy.stderr(), scaled(PATIENCE), "the line in the log")


def test_a_server_added_and_then_configured_can_be_removed(t):
    proxy, a = start(t, "a")
    b = Named(t, "b")
    changed(t, "add", f"group/{b.address}", "--persist")
    configure(t, proxy, a, b)
    assert told(t, "reload") == "reloaded\n"
    changed(t, f"group/{a.address}", "drain")  # the addition that is void is no reason to refuse others
    changed(t, f"group/{a.address}", "up")
    changed(t, "remove", f"group/{b.address}", "--persist")
    assert who(t, proxy) == ["a"]
    told(t, "reload")
    assert who(t, proxy) == ["a"]


def test_changes_of_a_group_that_is_gone_are_told(t):
    proxy, a, b = start(t, "a", "b")
    changed(t, f"group/{b.address}", "down", "--persist")
    configure(t, proxy, a, b, upstream="another")
    told(t, "reload")
    wait_for(lambda: f'server={b.address} change=down reason="there is no such group"' in proxy.stderr(), scaled(PATIENCE), "the warning")


def test_a_reload_without_a_state_file_tells_of_no_failure(t):
    start(t, "a")
    assert told(t, "reload") == "reloaded\n"


def test_a_broken_configuration_is_told_with_its_lines(t):
    proxy, _ = start(t, "a")
    path = t.dir / "fairlead0.conf"
    path.write_text(path.read_text() + 'wrokers = 2;\nkeepalive_requests = "many";\n')
    lines = path.read_text().count("\n")
    err = refused(t, "reload")
    assert 'did you mean "workers"' in err and f"{path}:{lines - 1}\n" in err and f"{path}:{lines}\n" in err, err
    assert err.startswith("fairlead: [emerg] "), err
    assert who(t, proxy) == ["a"] and told_json(t, "status")["reloads_failed"] == 1


def test_what_persists_outlives_the_process(t):
    proxy, a, b = start(t, "a", "b")
    c = Named(t, "c")
    changed(t, f"group/{a.address}", "down", "--persist")
    changed(t, "add", f"group/{c.address}", "--persist")
    changed(t, "remove", f"group/{b.address}", "--persist")
    assert who(t, proxy) == ["c"]
    assert Path(t.dir / "state").read_text().startswith("fairlead-state 1\n")
    proxy.finish()
    again = t.pool([{"address": one.address} for one in (a, b)], control=control(t))
    assert who(t, again) == ["c"]


def test_changes_under_load_fail_no_request(t):
    proxy, a, b = start(t, "a", "b", workers=2, keepalive_requests=1000000)
    c = Named(t, "c")
    over, failures, counts = threading.Event(), [], []

    def load():
        client, n = t.client(proxy), 0
        while not over.is_set():
            try:
                status = client.get("/").status
            except Exception as error:  # any failure is one too many
                failures.append(repr(error))
                return
            n += 1
            if status != 200:
                failures.append(status)
        counts.append(n)

    threads = [threading.Thread(target=load) for _ in range(8)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(10):
            changed(t, "add", f"group/{c.address}")
            changed(t, f"group/{a.address}", "down")
            changed(t, f"group/{b.address}", "weight", "5")
            changed(t, f"group/{a.address}", "up")
            changed(t, "remove", f"group/{c.address}")
    finally:
        over.set()
        for thread in threads:
            thread.join(scaled(PATIENCE))
    assert not failures and sum(counts) > 0, failures[:5]

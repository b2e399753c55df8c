# SPDX-License-Identifier: GPL-3.0-or-later
"""
Logs as an administrator meets them: how each exchange ended (termination codes), forms of lines, rotation under load, a disk that is
full, and a syslog daemon that is killed, hangs, or comes back.
"""

import json
import os
import re
import signal
import socket
import sys
import threading
import time

from client import RawClient
from failures import dead_address, full_listener
from harness import Skip, document, expect_status, find_balancers, find_binary, free_port, parse_listen, scaled
from origin import hang
from wire import Ended, wait_for

SAY = {"status": 200, "body": "x"}
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def logged(t, form="$termination_state", **log):
    """The file of the access log and the settings for it."""
    path = t.dir / "access.log"
    return path, {"access": str(path), "access_format": form, "level": "info", **log}


def lines_of(path, count=1):
    wait_for(lambda: path.exists() and path.read_text().count("\n") >= count, scaled(8), f"{count} lines in {path.name}")
    return path.read_text().splitlines()


# -- termination codes ----------------------------------------------------------------------------------------------


def ends_as(t, code, act, origin=None, **top):
    """Whatever `act` does with a client and the proxy is logged with that code, and no other line is."""
    path, log = logged(t)
    if "proxy_pass" in top:
        top["locations"] = [{"path": "/", "proxy_pass": top.pop("proxy_pass")}]
    proxy = t.proxy(origin, log=log, **top)
    act(t.client(proxy, receive_buffer=4096), proxy)
    assert lines_of(path) == [code], (path.read_text(), code)


def get(client, _proxy):
    client.send(GET)
    try:
        client.response()
    except Ended:
        pass  # it may see no more than the cut


def test_code_of_a_good_end(t):
    ends_as(t, "--", get, t.origin())


def test_code_of_a_local_answer(t):
    ends_as(t, "LR", get, locations=[{"path": "/", "respond": SAY}])


def test_code_of_a_bad_request(t):
    ends_as(t, "PR", lambda client, _: client.request(b"BAD\x01 / HTTP/1.1\r\n\r\n"), t.origin())


def test_code_of_a_large_body(t):
    request = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n"
    ends_as(t, "PR", lambda client, _: client.request(request, "POST"), t.origin(), client_max_body_size="10b")


def test_code_of_a_slow_head(t):
    def act(client, _proxy):
        client.send(b"GET / HT")
        client.response()
    ends_as(t, "cR", act, t.origin(), client_header_timeout="300ms")


def test_code_of_a_slow_body(t):
    def act(client, _proxy):
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nxx")
        client.response("POST")
    ends_as(t, "cH", act, t.origin(), client_body_timeout="300ms")


def test_code_of_a_client_that_ends_in_its_body(t):
    def act(client, _proxy):
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nxx")
        client.finish()
        client.response("POST")
    ends_as(t, "CH", act, t.origin())


def test_code_of_a_client_that_leaves_before_the_response(t):
    origin = t.origin(hang)

    def act(client, _proxy):
        client.send(GET)
        origin.wait_requests(1)
        client.reset()
    ends_as(t, "CH", act, origin)


def test_code_of_a_client_that_leaves_in_the_response(t):
    def script(conn, _):
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx")
        conn.wait_end()

    def act(client, _proxy):
        client.send(GET)
        client.head()
        client.reset()
    ends_as(t, "CD", act, t.origin(script))


def test_code_of_a_client_that_does_not_read(t):
    def script(conn, _):
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
        while conn.send(b"x" * 65536):
            pass
    ends_as(t, "cD", lambda client, _: client.send(GET), t.origin(script), send_timeout="300ms",
            engine={"socket_send_buffer": "16k", "pin": False})


def test_code_of_a_refused_connection(t):
    ends_as(t, "SC", get, proxy_pass="http://" + dead_address())


def test_code_of_a_group_that_is_down(t):
    ends_as(t, "SC", get, locations=[{"path": "/", "proxy_pass": "http://g"}],
            upstreams={"g": {"servers": [{"address": dead_address(), "down": True}]}})


def test_code_of_a_connect_timeout(t):
    listener, fillers = full_listener()
    url = "http://127.0.0.1:%d" % listener.getsockname()[1]
    ends_as(t, "sC", get, proxy_pass=url, proxy_connect_timeout="300ms")
    for sock in fillers + [listener]:
        sock.close()


def test_code_of_a_server_that_closes_before_its_response(t):
    ends_as(t, "SH", get, t.origin(lambda conn, _: conn.close()))


def test_code_of_a_server_that_does_not_answer(t):
    ends_as(t, "sH", get, t.origin(hang), proxy_read_timeout="300ms")


def test_code_of_a_response_that_is_not_http(t):
    ends_as(t, "PH", get, t.origin(lambda conn, _: conn.send(b"220 mail.test ready\r\n\r\n")))


def test_code_of_a_response_that_is_cut(t):
    def script(conn, _):
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx")
        conn.close()
    ends_as(t, "SD", get, t.origin(script))


def test_code_of_a_response_that_stops(t):
    def script(conn, _):
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx")
        conn.wait_end()
    ends_as(t, "sD", get, t.origin(script), proxy_read_timeout="300ms")


def test_code_of_bad_chunks(t):
    ends_as(t, "PD", get, t.origin(lambda conn, _: conn.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")))


def test_code_of_a_forced_stop(t):
    origin = t.origin(hang)

    def act(client, proxy):
        client.send(GET)
        origin.wait_requests(1)
        proxy.stop()
    ends_as(t, "KH", act, origin, shutdown_timeout="200ms")


def queue_of(origin, size, timeout="20s"):
    return {"locations": [{"path": "/", "proxy_pass": "http://g"}],
            "upstreams": {"g": {"servers": [{"address": origin.address, "max_conns": 1}],
                                "queue": {"size": size, "timeout": timeout}}}}


def queued(t, code, act, size=1, timeout="20s"):
    """One request holds the only place; `act` gets a second client. The first line is about that one."""
    path, log = logged(t, "$termination_state $uri")
    origin = t.origin(hang)
    proxy = t.proxy(log=log, **queue_of(origin, size, timeout))
    holder = t.client(proxy)
    holder.send(GET)
    origin.wait_requests(1)
    act(t.client(proxy))
    assert lines_of(path)[0] == f"{code} /waits", path.read_text()
    holder.reset()


def ask(client):
    client.send(b"GET /waits HTTP/1.1\r\nHost: a\r\n\r\n")
    client.response()


def test_code_of_a_wait_in_vain(t):
    queued(t, "sQ", ask, timeout="300ms")


def test_code_of_a_full_queue(t):
    queued(t, "PQ", ask, size=0)


def test_code_of_a_client_that_leaves_the_queue(t):
    def act(client):
        client.send(b"GET /waits HTTP/1.1\r\nHost: a\r\n\r\n")
        client.finish()
    queued(t, "CQ", act)


def test_code_of_a_request_that_a_second_server_answered(t):
    """The failure of the first try is not the end of the exchange."""
    path, log = logged(t, "$termination_state $retries $upstream_status $server")
    good = t.origin()
    proxy = t.pool([{"address": dead_address()}, good], log=log)
    for _ in range(2):
        expect_status(t.client(proxy).get("/"), 200)
    assert sorted(lines_of(path, 2)) == [f"-- 0 200 {good.address}", f"-- 1 200 {good.address}"]


# -- forms ----------------------------------------------------------------------------------------------------------


def test_variables_agree_with_what_happened(t):
    names = ["remote_addr", "remote_user", "request", "request_method", "request_uri", "uri", "args", "server_protocol", "status",
             "body_bytes_sent", "request_length", "host", "http_x_y", "http_absent", "scheme", "upstream_addr", "upstream_status",
             "backend", "retries", "connection_requests", "why", "termination_state"]
    path, log = logged(t, "|".join("$" + name for name in names))
    origin = t.origin(lambda conn, _: conn.respond(203, b"x" * 321))
    proxy = t.proxy(origin, log=log)
    client = t.client(proxy)
    client.request(GET)
    request = b"GET /a/../b%20c?d=e&f HTTP/1.1\r\nHost: Shop.test:81\r\nX-Y: a \"quote\"\r\nAuthorization: Basic dG9ieTpzZWNyZXQ=\r\n\r\n"
    client.request(request)
    got = dict(zip(names, lines_of(path, 2)[1].split("|")))
    assert got == {
        "remote_addr": "127.0.0.1", "remote_user": "toby", "request": "GET /a/../b%20c?d=e&f HTTP/1.1", "request_method": "GET",
        "request_uri": "/a/../b%20c?d=e&f", "uri": "/b c", "args": "d=e&f", "server_protocol": "HTTP/1.1", "status": "203",
        "body_bytes_sent": "321", "request_length": str(len(request)), "host": "Shop.test", "http_x_y": "a \\x22quote\\x22",
        "http_absent": "-", "scheme": "http", "upstream_addr": origin.address, "upstream_status": "203", "backend": origin.address,
        "retries": "0", "connection_requests": "2", "why": "-", "termination_state": "--"}, got


def test_bytes_sent_are_those_that_the_client_got(t):
    path, log = logged(t, "$bytes_sent $pid $connection")
    proxy = t.proxy(t.origin(), log=log)
    sizes = []
    for _ in range(2):
        client = t.client(proxy)
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        got = b""
        while piece := client.sock.recv(65536):
            got += piece
        sizes.append(len(got))
    rows = [line.split() for line in lines_of(path, 2)]
    assert [int(row[0]) for row in rows] == sizes, (rows, sizes)
    assert {row[1] for row in rows} == {str(proxy.process.pid)} and rows[0][2] != rows[1][2], rows


def test_times_are_numbers_and_in_order(t):
    """The parts of a request's time are not longer together than the whole; what did not happen is -1 or "-"."""
    path, log = logged(t, "$TR $Tw $Tc $Tr $Ta $request_time $upstream_connect_time $upstream_header_time $upstream_response_time $msec")
    origin = t.origin()
    proxy = t.proxy(origin, log=log)
    client = t.client(proxy)
    client.send(b"GET / HT")
    time.sleep(0.2)
    client.send(b"TP/1.1\r\nHost: a\r\n\r\n")
    client.response()
    t.client(proxy).request(b"BAD\x01 / HTTP/1.1\r\n\r\n")
    good, bad = lines_of(path, 2)
    request, queue, connect, response, whole = (int(word) for word in good.split()[:5])
    assert request >= 20 and queue == 0 and connect >= 0 and response >= 0, good
    assert request + queue + connect + response <= whole, good
    total, connected, header, ended = (float(word) for word in good.split()[5:9])
    assert connected <= header <= ended <= total, good
    assert re.fullmatch(r"\d+\.\d{3}", good.split()[9]), good
    assert bad.split()[2:4] == ["-1", "-1"] and bad.split()[6:9] == ["-", "-", "-"], bad


def test_timing_form(t):
    path, log = logged(t, "timing")
    origin = t.origin()
    t.client(t.proxy(origin, log=log)).get("/a?b")
    line = lines_of(path)[0]
    assert re.fullmatch(r'127\.0\.0\.1:\d+ \[[^\]]+\] ' + re.escape(f"{origin.address} {origin.address} ") +
                        r'\d+/\d+/\d+/\d+/\d+ 200 \d+ -- 0 [0-9a-f]{32} "[^"]+" "GET /a\?b HTTP/1\.1"', line), line


def test_a_form_of_json_stays_json(t):
    path, log = logged(t, '{"uri":"$request_uri","agent":"$http_user_agent","none":"$http_none","n":$status}', access_escape="json")
    t.client(t.proxy(t.origin(), log=log)).get("/y\"z", "User-Agent: a\"b\\c\xff\td")
    row = json.loads(lines_of(path)[0])
    assert row["uri"] == '/y"z' and row["agent"].startswith('a"b\\c') and row["none"] == "" and row["n"] == 200, row


def test_json_log_has_the_code(t):
    path, log = logged(t, "json")
    t.client(t.proxy(log=log, locations=[{"path": "/", "proxy_pass": "http://" + dead_address()}])).get("/")
    row = json.loads(lines_of(path)[0])
    assert row["termination"] == "SC" and row["status"] == 502, row


def test_a_line_stays_a_line_whatever_comes(t):
    """Fields that grow by their escapes are cut, and neither the line's end nor JSON's form is lost."""
    for form in ("combined", "json", "$request|$request_uri|$http_user_agent|$http_referer"):
        path = t.dir / f"{form[:4]}.log"
        proxy = t.proxy(t.origin(), log={"access": str(path), "access_format": form, "level": "info"})
        for _ in range(2):
            t.client(proxy).get("/" + '"' * 4000, "User-Agent: " + "\x80" * 4000, "Referer: " + '"' * 4000)
        lines = lines_of(path, 2)
        assert len(lines) == 2, lines
        if form == "json":
            assert [json.loads(line)["status"] for line in lines] == [200, 200]


# -- rotation -------------------------------------------------------------------------------------------------------


def load(proxy, first, count, failures):
    try:
        with RawClient(proxy.address, timeout=scaled(8)) as client:
            for number in range(first, first + count):
                client.send(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % number)
                if client.response().status != 200:
                    failures.append(number)
    except Exception as error:  # what fails in a thread must not vanish with it
        failures.append(repr(error))


def run_load(proxy, n_threads, count, meanwhile):
    failures = []
    threads = [threading.Thread(target=load, args=(proxy, i * count, count, failures)) for i in range(n_threads)]
    for thread in threads:
        thread.start()
    meanwhile()
    for thread in threads:
        thread.join()
    assert not failures, failures[:3]


def test_rotation_loses_no_line(t):
    """Renamed and reopened 20 times under load: each request stands in exactly one file, exactly once."""
    path, log = logged(t, "$uri")
    proxy = t.proxy(locations=[{"path": "/", "respond": SAY}], log=log, workers=2, keepalive_requests=100000)

    def rotate():
        for number in range(20):
            wait_for(lambda: path.exists() and path.stat().st_size > 0, scaled(8), "a line")
            path.rename(t.dir / f"access.log.{number}")
            proxy.send_signal(signal.SIGUSR1)
            wait_for(path.exists, scaled(8), "the new file")
            if number < 19:
                with RawClient(proxy.address) as client:
                    client.get("/extra")

    run_load(proxy, 4, 1000, rotate)
    proxy.finish()
    files = sorted(t.dir.glob("access.log*"))
    lines = [line for file in files for line in file.read_text().splitlines()]
    assert len(files) == 21, files
    assert sorted(line for line in lines if line != "/extra") == sorted(f"/{n}" for n in range(4000))
    assert lines.count("/extra") == 19


# -- a full disk ----------------------------------------------------------------------------------------------------


def on_a_small_disk(t, config):
    """The proxy in a mount namespace of its own, in which t.dir/disk has 256 KiB. Returns it, and the disk as seen from here."""
    (t.dir / "disk").mkdir()
    path = t.dir / "small.conf"
    path.write_text(document(config))
    command = f"mount -t tmpfs -o size=256k none {t.dir}/disk && exec {find_binary()} -c {path} -b {find_balancers()}"
    child = t.child(["unshare", "--mount", "--propagation", "private", "sh", "-c", command], "small")
    address = parse_listen(config["sites"][0]["listen"][0])

    def is_ready():
        if child.process.poll() is not None:
            raise Skip(f"no mount namespace can be made here: {child.stderr()[-200:]}")
        try:
            RawClient(address, timeout=1).close()
            return True
        except OSError:
            return False

    wait_for(is_ready, scaled(8), "the proxy")
    return child, address, os.path.join(f"/proc/{child.process.pid}/root", str(t.dir / "disk").lstrip("/"))


def test_full_disk(t):
    """Requests go on; lines are dropped, counted, and told of; when there is room again the log goes on with whole lines."""
    error_log = t.dir / "error.log"
    config = t.config([{"path": "/", "respond": SAY}], keepalive_requests=100000,
                      log={"access": f"{t.dir}/disk/access.log", "access_format": "json", "error": str(error_log)})
    child, address, disk = on_a_small_disk(t, config)
    with open(f"{disk}/filler", "wb") as filler:
        filler.write(b"x" * 220000)  # more than all lines, should some still wait when it goes
    client = t.client(address)
    for number in range(400):
        expect_status(client.get(f"/{number}"), 200)
    wait_for(lambda: 'error="No space left on device"' in error_log.read_text(), scaled(8), "the word about the disk")
    os.unlink(f"{disk}/filler")
    expect_status(client.get("/after"), 200)
    wait_for(lambda: "log can be written again" in error_log.read_text(), scaled(8), "the word that it is over")
    expect_status(client.get("/last"), 200)
    client.close()
    wait_for(lambda: "/last" in open(f"{disk}/access.log").read(), scaled(8), "the last line")
    text = open(f"{disk}/access.log").read()
    uris = [json.loads(line)["uri"] for line in text.splitlines()]
    dropped = sum(int(n) for n in re.findall(r"log can be written again path=\S+ dropped=(\d+)", error_log.read_text()))
    assert uris[-2:] == ["/after", "/last"] and len(uris) == len(set(uris)), uris[-3:]
    assert dropped > 0 and len(uris) + dropped == 402, (len(uris), dropped)
    assert child.stop() == 0


# -- syslog ---------------------------------------------------------------------------------------------------------

DAEMON = """
import socket, sys
kind, where, path = sys.argv[1:]
out = open(path, "ab", buffering=0)
if kind == "tcp":
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", int(where)))
    listener.listen()
    out.write(b"ready\\n")
    while True:
        peer = listener.accept()[0]
        while piece := peer.recv(65536):
            out.write(piece)
sock = socket.socket(socket.AF_INET if kind == "udp" else socket.AF_UNIX, socket.SOCK_DGRAM)
sock.bind(("127.0.0.1", int(where)) if kind == "udp" else where)
out.write(b"ready\\n")
while True:
    out.write(sock.recv(65536) + b"\\n")
"""


class Syslog:
    """A daemon in a process of its own, to be killed or stopped; what it got is in a file."""

    def __init__(self, t, kind):
        self.t, self.kind, self.got = t, kind, t.dir / "syslog.got"
        self.where = str(t.dir / "log.sock") if kind == "unix" else str(free_port())
        self.server = f"unix:{self.where}" if kind == "unix" else f"{kind}:127.0.0.1:{self.where}"
        self.begin()

    def begin(self):
        if self.kind == "unix" and os.path.exists(self.where):
            os.unlink(self.where)
        before = self.text().count("ready\n")
        self.child = self.t.child([sys.executable, "-c", DAEMON, self.kind, self.where, str(self.got)], "syslog")
        wait_for(lambda: self.text().count("ready\n") > before, scaled(8), "the daemon")

    def text(self):
        return self.got.read_bytes().decode(errors="replace") if self.got.exists() else ""

    def await_text(self, wanted):
        wait_for(lambda: wanted in self.text(), scaled(12), f"{wanted!r} at syslog")

    def kill(self):
        self.child.process.kill()
        self.child.process.wait()


def syslog_proxy(t, syslog):
    error_log = t.dir / "error.log"
    path, log = logged(t, "$uri $http_x", access_syslog=True, error=str(error_log), syslog="local2", access_facility="local5",
                       syslog_server=syslog.server, syslog_tag="edge")
    return t.proxy(locations=[{"path": "/", "respond": SAY}], log=log, workers=2, keepalive_requests=100000), path, error_log


def survives_kill(t, kind):
    syslog = Syslog(t, kind)
    proxy, path, error_log = syslog_proxy(t, syslog)
    client = t.client(proxy)
    client.get("/before")
    syslog.await_text("/before")
    assert re.search(r"<174>.*edge", syslog.text()), syslog.text()  # local5.info
    syslog.kill()
    run_load(proxy, 2, 100, lambda: None)
    wait_for(lambda: "syslog is gone server=" + syslog.server in error_log.read_text(), scaled(8), "the word that it is gone")
    syslog.begin()
    client.get("/after")
    syslog.await_text("/after")
    wait_for(lambda: "syslog is back server=" + syslog.server in error_log.read_text(), scaled(12), "the word that it is back")
    syslog.await_text("syslog is back")
    proxy.finish()
    assert len(path.read_text().splitlines()) == 202


def test_kill_of_a_tcp_syslog(t):
    survives_kill(t, "tcp")


def test_kill_of_a_udp_syslog(t):
    survives_kill(t, "udp")


def test_kill_of_a_local_syslog(t):
    survives_kill(t, "unix")


def survives_hang(t, kind):
    """Stopped in its tracks: all requests are answered and in the file; then syslog learns how many it has missed."""
    syslog = Syslog(t, kind)
    proxy, path, error_log = syslog_proxy(t, syslog)
    client = t.client(proxy)
    client.get("/before")
    syslog.await_text("/before")
    syslog.child.process.send_signal(signal.SIGSTOP)
    count = 1

    def is_told():
        nonlocal count
        for _ in range(500):
            expect_status(client.get("/" + "a" * 2000, "X: " + "b" * 2000), 200)
            count += 1
        return "syslog takes no lines, they are dropped server=" + syslog.server in error_log.read_text()

    wait_for(is_told, scaled(15), "the word that it takes no lines")
    wait_for(lambda: path.read_text().count("\n") == count, scaled(8), "all lines in the file")
    syslog.child.process.send_signal(signal.SIGCONT)
    client.get("/after")
    wait_for(lambda: "syslog is back server=" + syslog.server in error_log.read_text(), scaled(8), "the word that it is back")
    syslog.await_text("syslog is back")
    dropped = sum(int(n) for n in re.findall(r"syslog is back server=\S+ dropped=(\d+)", error_log.read_text()))
    assert dropped > 0 and f"dropped={dropped}" in syslog.text()


def test_hanging_tcp_syslog(t):
    survives_hang(t, "tcp")


def test_hanging_local_syslog(t):
    survives_hang(t, "unix")


def test_stop_is_not_held_up_for_long_by_a_syslog_that_is_gone(t):
    syslog = Syslog(t, "tcp")
    proxy, path, _ = syslog_proxy(t, syslog)
    t.client(proxy).get("/before")
    syslog.await_text("/before")
    syslog.kill()
    t.client(proxy).get("/after")
    proxy.finish()
    assert path.read_text().splitlines()[-1].startswith("/after")


def test_syslog_over_ipv6(t):
    try:
        listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError as error:
        raise Skip(f"no IPv6 loopback: {error}") from error
    listener.settimeout(scaled(8))
    _, log = logged(t, "$uri", access_syslog=True, syslog_server="tcp:[::1]:%d" % listener.getsockname()[1])
    proxy = t.proxy(locations=[{"path": "/", "respond": SAY}], log=log)
    t.client(proxy).get("/over6")
    peer, _ = listener.accept()
    peer.settimeout(scaled(8))
    size, _, message = peer.recv(4096).partition(b" ")
    assert len(message) == int(size) and re.fullmatch(
        rb"<30>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d \S+ fairlead %d access - /over6" % proxy.process.pid, message), message

# SPDX-License-Identifier: GPL-3.0-or-later
"""
Real programs on both sides: curl and wrk as clients, nginx and Apache as origins (own prefix, own port, foreground, ended by their
handle), the access log read back, and the command line (-t, -T). A tool that is not installed skips its tests.
"""

import hashlib
import json
import os
import pwd
import re
import shutil
import socket
import time
from pathlib import Path

from harness import Skip, document, expect_status, find_balancers, find_binary, free_port, scaled
from wire import wait_for


def need(tool):
    path = shutil.which(tool) or shutil.which(tool, path="/usr/sbin:/sbin")
    if not path:
        raise Skip(f"{tool} is not installed")
    return path


def url_of(proxy, path="/"):
    return f"http://{proxy.address[0]}:{proxy.address[1]}{path}"


def curl(t, *arguments, seconds=15):
    """Runs curl; its exit status must be 0; gives its output."""
    status, out, err = t.command(need("curl"), "-sS", "--max-time", str(int(scaled(seconds))), *arguments, seconds=seconds + 2)
    assert status == 0, f"curl {arguments}: status {status}, {err[-300:]}"
    return out


NGINX = """
daemon off; master_process off; pid {dir}/nginx.pid; error_log {dir}/nginx-error.log warn;
events {{ worker_connections 512; }}
http {{
    access_log off; client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy; fastcgi_temp_path {dir}/fcgi;
    uwsgi_temp_path {dir}/uwsgi; scgi_temp_path {dir}/scgi; client_max_body_size 0; keepalive_requests 1000000;
    server {{ listen 127.0.0.1:{port}; root {dir}/www; location /put/ {{ dav_methods PUT; create_full_put_path on; root {dir}; }}
              location /gz {{ gzip on; gzip_min_length 1; gzip_types text/plain; gzip_proxied any; alias {dir}/www/big.txt; }} }}
}}
"""

APACHE = """
ServerRoot {dir}
PidFile {dir}/apache.pid
ServerName localhost
Listen 127.0.0.1:{port}
ErrorLog {dir}/apache-error.log
LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule authz_core_module {modules}/mod_authz_core.so
DocumentRoot {dir}/www
KeepAlive On
MaxKeepAliveRequests 0
"""


def files(t):
    """Something to serve: big.txt (3 MB), small.txt, empty."""
    www = t.dir / "www"
    www.mkdir(exist_ok=True)
    (www / "big.txt").write_bytes(b"0123456789abcde\n" * 200000)
    (www / "small.txt").write_bytes(b"small\n")
    (www / "empty").write_bytes(b"")
    for path in www.iterdir():
        path.chmod(0o644)


def serve(t, program, arguments, port):
    child = t.child([program, *arguments], os.path.basename(program))

    def ready():
        assert child.process.poll() is None, f"{program} ended: {child.stderr()[-300:]}"
        try:
            t.client(("127.0.0.1", port)).close()
            return True
        except OSError:
            return False
    wait_for(ready, scaled(8), f"{program} to listen")
    return f"http://127.0.0.1:{port}"


def nginx(t):
    program, port = need("nginx"), free_port()
    files(t)
    (t.dir / "put").mkdir(mode=0o777)
    (t.dir / "put").chmod(0o777)
    path = t.dir / "nginx.conf"
    user = "user root;" if os.getuid() == 0 else ""
    path.write_text(user + NGINX.format(dir=t.dir, port=port))
    return serve(t, program, ["-p", str(t.dir), "-c", str(path), "-e", str(t.dir / "nginx-start.log")], port)


def apache(t):
    program, port, modules = need("apache2"), free_port(), "/usr/lib/apache2/modules"
    files(t)
    path = t.dir / "apache.conf"
    user = "LoadModule unixd_module {0}/mod_unixd.so\n" if os.path.exists(modules + "/mod_unixd.so") else ""
    path.write_text(user.format(modules) + APACHE.format(dir=t.dir, port=port, modules=modules))
    return serve(t, program, ["-f", str(path), "-D", "FOREGROUND"], port)


def before(t, url, **top):
    return t.proxy(locations=[{"path": "/", "proxy_pass": url}], client_max_body_size=0, **top)


def fetch_all(t, proxy):
    """What curl must get from any real origin."""
    big = b"0123456789abcde\n" * 200000
    assert curl(t, url_of(proxy, "/big.txt")) == big
    assert curl(t, "--http1.0", url_of(proxy, "/big.txt")) == big
    assert curl(t, "-r", "100-199", url_of(proxy, "/big.txt")) == big[100:200]
    assert curl(t, url_of(proxy, "/empty")) == b""
    head = curl(t, "-I", url_of(proxy, "/big.txt")).decode()
    assert "200" in head.splitlines()[0] and "content-length: 3200000" in head.lower(), head
    etag = re.search(r"(?i)etag: (\S+)", head)[1]
    assert curl(t, "-o", "/dev/null", "-w", "%{http_code}", "-H", f"If-None-Match: {etag}", url_of(proxy, "/big.txt")) == b"304"
    assert curl(t, "-o", "/dev/null", "-w", "%{http_code}", url_of(proxy, "/missing")) == b"404"
    many = curl(t, *[url_of(proxy, "/small.txt")] * 50, "-w", "%{num_connects}")
    assert many.count(b"small\n") == 50 and many.count(b"\n1") == 1, many[:200]
    parallel = curl(t, "-Z", "--parallel-max", "20", *[url_of(proxy, "/small.txt")] * 100)
    assert parallel.count(b"small\n") == 100, len(parallel)


def test_curl_and_nginx(t):
    """Issue 2, 10: downloads, ranges, conditionals, HEAD, HTTP/1.0, reuse, parallel."""
    fetch_all(t, before(t, nginx(t)))


def test_curl_and_apache(t):
    """The same before Apache."""
    fetch_all(t, before(t, apache(t)))


def test_curl_uploads_to_nginx(t):
    """curl -T with a length, chunked from a pipe, and with Expect: 100-continue; files arrive byte for byte."""
    proxy = before(t, nginx(t))
    source = t.dir / "upload.bin"
    source.write_bytes(os.urandom(5 << 20))
    wanted = hashlib.sha256(source.read_bytes()).digest()
    ways = {"length": (), "chunked": ("-H", "Transfer-Encoding: chunked"), "expect": ("-H", "Expect: 100-continue"), "old": ("--http1.0",)}
    for name, arguments in ways.items():
        code = curl(t, "-T", str(source), "-o", "/dev/null", "-w", "%{http_code}", *arguments, url_of(proxy, f"/put/{name}"))
        assert code in (b"201", b"204"), (name, code)
        assert hashlib.sha256((t.dir / "put" / name).read_bytes()).digest() == wanted, name


def test_curl_gets_gzip_from_nginx(t):
    """11, 13: a chunked, compressed answer passes untouched."""
    proxy = before(t, nginx(t))
    assert curl(t, "--compressed", url_of(proxy, "/gz")) == b"0123456789abcde\n" * 200000


def wrk_figures(text):
    """(requests, errors) of wrk's report."""
    requests = int(re.search(r"(\d+) requests in", text)[1])
    errors = re.findall(r"Non-2xx or 3xx responses: (\d+)|Socket errors: (.*)", text)
    return requests, errors


def wrk(t, proxy, path, *arguments):
    status, out, err = t.command(need("wrk"), "-t2", "-c64", "-d2s", *arguments, url_of(proxy, path), seconds=12)
    assert status == 0, err
    requests, errors = wrk_figures(out.decode())
    assert requests > 50 and not errors, out.decode()
    return requests


def test_wrk_and_nginx(t):
    """Issue 2, 10: two seconds of 64 connections: no error, no non-2xx, and the log's lines are as many as the answers."""
    log = t.dir / "access.log"
    proxy = before(t, nginx(t), workers=2, log={"access": str(log), "level": "info"})
    requests = wrk(t, proxy, "/small.txt")
    wrk(t, proxy, "/big.txt")
    proxy.finish()
    lines = log.read_text(errors="replace").count(" /small.txt ")
    dropped = sum(value for key, value in proxy.counters().items() if "drop" in key)
    assert lines + dropped >= requests, (lines, dropped, requests)


def test_wrk_and_respond(t):
    """The same without an origin."""
    proxy = t.proxy(locations=[{"path": "/", "respond": {"status": 200, "body": "hello"}}], workers=2)
    wrk(t, proxy, "/")


# -- access log -----------------------------------------------------------------------------------------------------

COMBINED = re.compile(r'(\S+) - (\S+) \[(\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4})\] "([^"]*)" (\d{3}) (\d+|-) "([^"]*)" "([^"]*)"(.*)')


def log_lines(t, proxy, path, count):
    wait_for(lambda: path.exists() and path.read_text().count("\n") >= count, scaled(5), f"{count} lines in the access log")
    proxy.finish()
    return path.read_text().splitlines()


def logged_traffic(t, form):
    log = t.dir / "access.log"
    origin = t.origin(lambda conn, request: conn.respond(404 if request.target == "/missing" else 200, b"x" * 1234))
    proxy = t.proxy(origin, log={"access": str(log), "access_format": form, "level": "info"})
    client = t.client(proxy)
    client.get("/a?b=c", "User-Agent: agent \"quoted\"", "Referer: http://r.test/")
    client.get("/missing")
    client.get("/head", method="HEAD")
    client.get("/post", method="POST", body=b"y" * 100)
    t.client(proxy).request(b"BAD\x01 / HTTP/1.1\r\n\r\n")
    return origin, log_lines(t, proxy, log, 5)


def test_combined_log(t):
    """Issue 2, 9: combined lines parse and agree with what was asked and answered; nothing can forge a line."""
    _, lines = logged_traffic(t, "combined")
    rows = [COMBINED.fullmatch(line) for line in lines]
    assert len(lines) == 5 and all(rows), lines
    assert [(row[4], row[5], row[6]) for row in rows[:4]] == [
        ("GET /a?b=c HTTP/1.1", "200", "1234"), ("GET /missing HTTP/1.1", "404", "1234"),
        ("HEAD /head HTTP/1.1", "200", "0"), ("POST /post HTTP/1.1", "200", "1234")], lines
    assert rows[0][1] == "127.0.0.1" and rows[0][7] == "http://r.test/" and "agent" in rows[0][8], lines[0]
    assert rows[4][5] == "400" and all(32 <= ord(c) < 127 for c in lines[4]), lines[4]
    when = time.mktime(time.strptime(rows[0][3][:20], "%d/%b/%Y:%H:%M:%S"))
    assert abs(when - time.time()) < 60 or abs(when - time.mktime(time.gmtime())) < 60, rows[0][3]


def number_in(row, *names):
    for name in names:
        if name in row:
            return float(row[name])
    raise AssertionError(f"none of {names} in {row}")


def test_json_log(t):
    """Issue 2, 9: one JSON object per line with status, bytes, upstream, timings and a request id, equal to what happened."""
    origin, lines = logged_traffic(t, "json")
    rows = [json.loads(line) for line in lines]
    assert len(rows) == 5, lines
    assert [int(row["status"]) for row in rows] == [200, 404, 200, 200, 400], lines
    text = lines[0]
    assert "/a?b=c" in text and 'agent \\"quoted\\"' in text and origin.address in text, text
    assert len({json.dumps(row.get("request_id", row.get("id"))) for row in rows}) == 5, lines
    body_bytes = [number_in(row, "bytes", "body_bytes", "bytes_sent", "body_bytes_sent") for row in rows[:4]]
    assert body_bytes[0] >= 1234 and body_bytes[2] < 1234, body_bytes
    timings = [key for key in rows[0] if "time" in key or "total" in key or "connect" in key or key.endswith("_ms")]
    assert len(timings) >= 3, f"connect, first byte and total among {list(rows[0])}"


def test_log_escapes_control_characters(t):
    """HTTP.md, attackers: obs-text and quotes in logged fields stay inside their line, in both formats."""
    for form in ("combined", "json"):
        log = t.dir / f"{form}.log"
        proxy = t.proxy(t.origin(), log={"access": str(log), "access_format": form, "level": "info"})
        t.client(proxy).get("/x", "User-Agent: a\"b\\c\xff\xfe\td", "Referer: \x80")
        t.client(proxy).get("/y\"z")
        lines = log_lines(t, proxy, log, 2)
        assert len(lines) == 2 and all(32 <= ord(c) < 127 or ord(c) == 0xfffd for line in lines for c in line), lines
        if form == "json":
            assert [json.loads(line) for line in lines]


def test_access_log_off_for_a_location(t):
    """DESIGN 7: access_log = false."""
    log = t.dir / "access.log"
    say = {"status": 200, "body": "x"}
    proxy = t.proxy(locations=[{"path": "/quiet", "respond": say, "access_log": False}, {"path": "/", "respond": say}],
                    log={"access": str(log), "level": "info"})
    client = t.client(proxy)
    for path in ("/quiet", "/loud", "/quiet"):
        expect_status(client.get(path), 200)
    lines = log_lines(t, proxy, log, 1)
    assert len(lines) == 1 and "/loud" in lines[0], lines


def test_counters_line(t):
    """CLI: at the stop the error log has a `counters` line that agrees with what was asked."""
    proxy = t.proxy(t.origin())
    for _ in range(3):
        client = t.client(proxy)
        for _ in range(4):
            expect_status(client.get("/"), 200)
    t.client(proxy).request(b"BAD\r\n\r\n")
    proxy.finish()
    counters = proxy.counters()
    assert counters.get("requests") in (12, 13), counters
    assert counters.get("connections", 0) >= 4, counters


# -- the command line -----------------------------------------------------------------------------------------------


def good_text():
    return document({"sites": [{"listen": [f"127.0.0.1:{free_port()}"], "locations": [{"path": "/", "respond": {"status": 200, "body": "x"}}]}]})


def test_t_success(t):
    """CLI: -t prints two lines to stderr and ends with 0."""
    status, out, err, path = t.test_config(good_text(), "-t")
    assert status == 0 and out == "", (status, out, err)
    assert err.splitlines()[-2:] == [f"fairlead: the configuration file {path} syntax is ok",
                                     f"fairlead: configuration file {path} test is successful"], err


def test_t_failures(t):
    """CLI: each error has its sentence, file and line; several are told in one run; status 1."""
    wrong = {"workerz = 2;\n": "workers", "workers = \"many\";\n": "workers", "keepalive_timeout = 75;\n": "keepalive_timeout",
             "keepalive_timeout = \"75 parsecs\";\n": "keepalive_timeout", "client_max_body_size = \"-1m\";\n": "client_max_body_size"}
    for line, word in wrong.items():
        status, _, err, path = t.test_config("\n\n" + line + good_text(), "-t")
        assert status == 1 and f"in {path}:3" in err and word in err and "fairlead: [emerg] " in err, (line, err)
        assert err.splitlines()[-1] == f"fairlead: configuration file {path} test failed", err
    status, _, err, path = t.test_config("workerz = 2;\nkeepalive_timeout = 75;\n" + good_text(), "-t")
    assert status == 1 and f"{path}:1" in err and f"{path}:2" in err, err


def test_t_syntax_error(t):
    """CLI: a file that libconfig cannot read."""
    status, _, err, path = t.test_config("workers = ;\n", "-t")
    assert status == 1 and f"{path}:1" in err and "test failed" in err, err


def test_t_opens_what_is_named(t):
    """CLI: a missing error page and an unknown upstream and strategy are found by -t."""
    for extra, word in (('error_pages = ( { status = [404]; file = "/nonexistent/page"; } );', "page"),):
        text = good_text().replace("locations", extra + "\nlocations", 1)
        status, _, err, _ = t.test_config(text, "-t")
        assert status == 1 and word in err, err
    group = {"g": {"balance": "no_such_strategy", "servers": [{"address": "127.0.0.1:1"}]}}
    text = document({"upstreams": group}) + good_text()
    status, _, err, _ = t.test_config(text, "-t")
    assert status == 1 and "no_such_strategy" in err, err


def test_capital_t_prints_what_can_be_read_again(t):
    """CLI: -T prints every key with its value; the print is itself a good configuration and prints the same."""
    status, out, err, _ = t.test_config(good_text(), "-T")
    assert status == 0 and "keepalive_timeout" in out and "client_max_body_size" in out, (status, out[-300:], err)
    status, again, err, _ = t.test_config(out, "-T")
    assert status == 0, err

    def significant(text):
        return [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith(("#", "//"))]
    assert significant(again) == significant(out), "what -T printed reads differently"


def test_missing_file(t):
    """CLI: a file that is not there: a sentence and status 1."""
    balancers = find_balancers()
    status, _, err = t.command(find_binary(), "-c", str(t.dir / "none.conf"), *(["-b", balancers] if balancers else []))
    assert status == 1 and "none.conf" in err, (status, err)


def test_port_taken(t):
    """CLI: a listener that cannot be bound is told with its address, and ends the start with status 1."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        port = taken.getsockname()[1]
        config = t.config([{"path": "/", "respond": {"status": 200, "body": "x"}}], site={"listen": [f"127.0.0.1:{port}"]})
        proxy = t.start(config, wait=False)
        assert proxy.wait(5) == 1 and str(port) in proxy.stderr(), proxy.stderr()
        proxy.checked = True


def test_privileges_are_dropped(t):
    """`user`: a proxy started as root serves as that user, in its groups only, and can gain nothing by executing a file."""
    if os.geteuid() != 0:
        raise Skip("not root")
    proxy = t.proxy(t.origin(), user="nobody")
    expect_status(t.client(proxy).get("/"), 200)
    status = dict(line.split(":\t", 1) for line in
                  Path(f"/proc/{proxy.process.pid}/status").read_text().splitlines() if ":\t" in line)
    nobody = pwd.getpwnam("nobody")
    assert status["Uid"].split() == [str(nobody.pw_uid)] * 4, status["Uid"]
    assert status["Gid"].split() == [str(nobody.pw_gid)] * 4, status["Gid"]
    assert status["Groups"].split() == [str(nobody.pw_gid)], status["Groups"]
    assert status["CapEff"].strip("0 ") == "" and status["NoNewPrivs"].strip() == "1", status


def test_unknown_user(t):
    """`user`: one that is not there ends the start with a sentence that names it."""
    if os.geteuid() != 0:
        raise Skip("not root")
    config = t.config([{"path": "/", "respond": {"body": "x"}}], user="no-such-user")
    proxy = t.start(config, wait=False)
    assert proxy.wait(5) == 1 and "no-such-user" in proxy.stderr(), proxy.stderr()
    proxy.checked = True

# SPDX-License-Identifier: GPL-3.0-or-later
"""
Active health checks: servers that die, come back, hang, flap or answer wrongly; what agents say; what a server is before its first check;
backups. The servers' own failures are not counted (max_fails = 0), so that what is seen is the doing of the checks alone.
"""

import re
import socket
import threading
import time

from failures import full_listener
from harness import expect_status, free_port, scaled
from origin import Origin, hang
from wire import wait_for

PATIENCE = 10.0  # seconds, scaled: how long a change may take
FAST = {"interval": "40ms", "timeout": "5s", "rise": 2, "fall": 2, "jitter": 10}


class Well:
    """An origin whose health page says `status` and `body`; everything else tells the origin's name."""

    def __init__(self, t, name="origin", status=200, body=b"all is well\n", **options):
        self.status, self.body, self.asked, self.limit = status, body, [], None
        self.origin = t.origin(self.answer, name=name, **options)
        self.address, self.name = self.origin.address, name

    def answer(self, conn, request):
        if request.target != "/healthz":
            conn.respond(body=self.name.encode())
            return
        self.asked.append(request)
        status = self.status(len(self.asked)) if callable(self.status) else self.status
        conn.respond(status, self.body, reason="Said")


class Agent:
    """Says `line` to everyone who connects."""

    def __init__(self, t, line):
        self.line, self.told = line, 0
        self.origin = t.origin(raw_handler=self.say, port=free_port())
        self.port = self.origin.port

    def say(self, conn):
        self.told += 1
        conn.send(self.line)

    def now_says(self, line):
        """Returns once the proxy has heard it: the answer after the next one has begun."""
        self.line = line
        heard = self.told
        wait_for(lambda: self.told >= heard + 3, scaled(PATIENCE), "the agent to be asked")


def server(origin, **keys):
    return {"address": origin.address, "max_fails": 0, **keys}


def http(**keys):
    return {"health": {"type": "http", "path": "/healthz", **FAST, **keys}}


def tcp(**keys):
    return {"health": {"type": "tcp", **FAST, **keys}}


def lines(proxy, text):
    return [line for line in proxy.stderr().splitlines() if text in line]


def await_line(proxy, text, count=1):
    return wait_for(lambda: len(lines(proxy, text)) >= count and lines(proxy, text), scaled(PATIENCE), f'"{text}" in the log')[-1]


def who_serves(t, proxy, requests=12):
    """The names of those who answer, sorted; None for an answer that is not 200."""
    client = t.client(proxy)
    answers = [client.get("/") for _ in range(requests)]
    client.close()
    return sorted({answer.body.decode() if answer.status == 200 else None for answer in answers}, key=str)


def await_servers(t, proxy, names):
    wait_for(lambda: who_serves(t, proxy) == sorted(names), scaled(PATIENCE), f"{names} to serve and no others")


def asked_often(well, more=6):
    """Waits until the health page was asked for some times more."""
    count = len(well.asked) + more
    wait_for(lambda: len(well.asked) >= count, scaled(PATIENCE), f"{more} more checks of {well.name}")


# -- in and out of service --------------------------------------------------------------------------------------------


def test_dead_server_is_taken_out_and_comes_back(t):
    """A TCP check finds a server that is gone, tells it once, keeps requests off, and lets them back."""
    port = free_port()
    first, second = Well(t, "a", port=port), Well(t, "b")
    proxy = t.pool([server(first), server(second)], tcp())
    await_servers(t, proxy, ["a", "b"])
    first.origin.close()
    line = await_line(proxy, "server is down")
    assert re.search(rf'\[warn\].*server is down pool=group server=127.0.0.1:{port} from=UP to=DOWN '
                     r'reason="connection refused" lasted_ms=\d+$', line), line
    for _ in range(3):
        assert who_serves(t, proxy) == ["b"]
    Well(t, "a again", port=port)
    line = await_line(proxy, "server is up")
    assert re.search(rf'\[notice\].*server is up pool=group server=127.0.0.1:{port} from=DOWN to=UP '
                     r'reason="connected" lasted_ms=\d+$', line), line
    await_servers(t, proxy, ["a again", "b"])
    assert len(lines(proxy, "server is down")) == 1 and len(lines(proxy, "server is up")) == 1
    proxy.finish()
    assert re.search(r"health pool=group servers=2 probes=\d+ failures=\d+ transitions=2 ", proxy.stderr())
    assert " upstream_failures=0 " in proxy.stderr()


def test_statuses(t):
    """Only the statuses that are expected are good; the log names the one that was not."""
    first, second = Well(t, "a"), Well(t, "b", status=404)
    proxy = t.pool([server(first), server(second)], http(expect=["200-299", "404"]))
    asked_often(second)
    assert not lines(proxy, "server is down")
    first.status = 503
    assert 'reason="status 503"' in await_line(proxy, f"server is down pool=group server={first.address}")
    await_servers(t, proxy, ["b"])
    first.status, second.status = 204, 301
    first.body = b""
    assert 'reason="status 204"' in await_line(proxy, f"server is up pool=group server={first.address}")
    assert 'reason="status 301"' in await_line(proxy, f"server is down pool=group server={second.address}")
    await_servers(t, proxy, ["a"])


def test_bodies(t):
    """A text or a regex that the body must hold."""
    for expected in ("is well", "~ ^all .* well", "~* WELL"):
        well = Well(t)
        proxy = t.pool([server(well)], http(expect_body=expected))
        asked_often(well)
        assert not lines(proxy, "server is down"), expected
        well.body = b"all is lost\n"
        assert 'reason="body does not match"' in await_line(proxy, "server is down")
        well.body = b"x" * 3000 + b"\nall is well\n" if "^" not in expected else b"all that is well"
        await_line(proxy, "server is up")
        proxy.finish()


def test_what_is_asked(t):
    """Method, path, Host, headers, and who asks."""
    well = Well(t)
    t.pool([server(well)], http(method="OPTIONS", host="health.example", headers={"X-Probe": "yes", "X-Other": "a b"}))
    request = wait_for(lambda: well.asked, scaled(PATIENCE), "a check")[0]
    assert (request.method, request.target, request.version) == ("OPTIONS", "/healthz", "HTTP/1.1")
    for name, value in (("Host", "health.example"), ("X-Probe", "yes"), ("X-Other", "a b"), ("Connection", "close")):
        assert request.all(name) == [value], request
    assert re.fullmatch(r"fairlead/[\w.]+ health check", request.get("User-Agent")), request


def test_another_port_is_checked(t):
    """`port` is where the check goes; requests go where they went."""
    port = free_port()
    serving, checked = Well(t, "serving"), t.origin(name="checked", port=port)
    proxy = t.pool([server(serving)], tcp(port=port))
    await_servers(t, proxy, ["serving"])
    checked.close()
    assert f"server={serving.address} " in await_line(proxy, "server is down")
    await_servers(t, proxy, [None])
    assert not serving.asked


def test_unix_sockets_are_checked(t):
    """A socket that goes away and comes back."""
    path = str(t.dir / "origin.sock")
    first, second = Well(t, "a", path=path), Well(t, "b")
    proxy = t.pool([server(first), server(second)], http())
    await_servers(t, proxy, ["a", "b"])
    assert wait_for(lambda: first.asked, scaled(PATIENCE), "a check")[0].get("Host") == "localhost"
    first.origin.close()
    assert 'reason="no such file or directory"' in await_line(proxy, f"server is down pool=group server=unix:{path}")
    await_servers(t, proxy, ["b"])
    Well(t, "a", path=path)
    await_line(proxy, f"server is up pool=group server=unix:{path}")
    await_servers(t, proxy, ["a", "b"])


def test_flapping_changes_nothing(t):
    """Fewer failures in a row than fall, and fewer good checks than rise, are no change."""
    up, down = Well(t, "a", status=lambda n: 200 if n % 3 else 500), Well(t, "b", status=lambda n: 200 if n % 3 == 1 else 500)
    proxy = t.pool([server(up), server(down)], http(fall=2, rise=2, initial="fully-down"))
    await_line(proxy, f"server is up pool=group server={up.address}")
    asked_often(up, 15)
    asked_often(down, 15)
    assert len(lines(proxy, "server is up")) == 1 and not lines(proxy, "server is down"), lines(proxy, "server is")
    await_servers(t, proxy, ["a"])


def test_hanging_servers_are_given_up(t):
    """One that accepts and never answers, one that answers half, one whose queue is full."""
    endings = []

    def answer(part):
        def handler(conn):
            conn.stream.fill()
            conn.send(part)
            endings.append(conn.wait_end(20))
        return handler
    silent, slow = (t.origin(raw_handler=answer(part)) for part in (b"", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nall"))
    listener, fillers = full_listener()
    full = {"address": "127.0.0.1:%d" % listener.getsockname()[1], "max_fails": 0}
    proxy = t.pool([server(silent), server(slow), full], http(timeout="300ms", expect_body="well"))
    assert 'reason="response timed out"' in await_line(proxy, f"server is down pool=group server={silent.address}")
    assert 'reason="response timed out in its body"' in await_line(proxy, f"server is down pool=group server={slow.address}")
    assert 'reason="connect timed out"' in await_line(proxy, f"server is down pool=group server={full['address']}")
    for sock in (listener, *fillers):
        sock.close()
    wait_for(lambda: len(endings) >= 4, scaled(PATIENCE), "the checks to end")
    assert set(endings) == {"reset"}, endings


def test_odd_servers_are_down_and_the_proxy_goes_on(t):
    """What is no HTTP, a reset, an early end: each with its reason."""
    def script(data, how):
        def handler(conn):
            conn.stream.fill()
            conn.send(data)
            conn.reset() if how == "reset" else conn.wait_end(1)
        return handler
    cases = [(b"220 mail.example ESMTP\r\n", "", "not HTTP: "), (b"", "reset", "connection reset by peer"),
             (b"HTTP/1.1 200 OK\r\nX: \x00\r\n\r\n", "", "not HTTP: "), (b"\xff\xfe\n", "", "not HTTP: ")]
    well = Well(t)
    odd = [t.origin(raw_handler=script(data, how)) for data, how, _ in cases]
    proxy = t.pool([server(well), *map(server, odd)], http())
    for origin, (_, _, reason) in zip(odd, cases):
        assert f'reason="{reason}' in await_line(proxy, f"server is down pool=group server={origin.address}")
    await_servers(t, proxy, ["origin"])


# -- before the first check, and without primaries ----------------------------------------------------------------------


def test_initial_states(t):
    """down waits for one good check, fully-down for rise, up falls with one bad check, fully-up with fall."""
    for initial, first_checks in (("down", 1), ("fully-down", 3)):
        well = Well(t, status=500)
        proxy = t.pool([server(well)], http(initial=initial, rise=3))
        assert who_serves(t, proxy, 3) == [None]
        asked_often(well, 3)
        assert not lines(proxy, "server is")
        proxy.finish()
        well = Well(t)
        proxy = t.pool([server(well)], http(initial=initial, rise=3))
        await_line(proxy, "server is up")
        assert len(well.asked) >= first_checks
        await_servers(t, proxy, ["origin"])
        proxy.finish()
    for initial, first_checks in (("up", 1), ("fully-up", 4)):
        well = Well(t, status=500)
        proxy = t.pool([server(well)], http(initial=initial, fall=4, interval="200ms"))
        await_line(proxy, "server is down")
        assert len(well.asked) >= first_checks and (initial != "up" or len(well.asked) < 4), (initial, len(well.asked))
        proxy.finish()


def test_backups_are_promoted_and_go_back(t):
    """The backup serves once the last primary is down, and no longer when one is back; each is told once."""
    one, two, backup = Well(t, "one"), Well(t, "two"), Well(t, "backup")
    proxy = t.pool([server(one), server(two), server(backup, backup=True)], http())
    await_servers(t, proxy, ["one", "two"])
    one.status = 500
    await_servers(t, proxy, ["two"])
    assert not lines(proxy, "backups are promoted")
    two.status = 500
    assert "[warn]" in await_line(proxy, "backups are promoted pool=group")
    await_servers(t, proxy, ["backup"])
    backup.status = 500
    assert "[error]" in await_line(proxy, "no server is left pool=group")
    await_servers(t, proxy, [None])
    one.status = 200
    assert "[notice]" in await_line(proxy, "primaries are back pool=group")
    await_servers(t, proxy, ["one"])
    assert [len(lines(proxy, text)) for text in ("backups are promoted", "no server is left", "primaries are back")] == [1, 1, 1]


# -- agents -------------------------------------------------------------------------------------------------------------


def test_agent_words(t):
    """drain, maint, down and 0% take a server out of the turn, ready, up and more than 0% take each of them back; once told."""
    agent, asked = Agent(t, b"ready\n"), Well(t, "asked")
    proxy = t.pool([server(asked)], {"health": {"type": "none", "agent_port": agent.port, **FAST}})
    await_servers(t, proxy, ["asked"])
    steps = [(b"drain\n", [None], "server is draining", "from=READY to=DRAIN"),
             (b"ready\n", ["asked"], "server is ready", "from=DRAIN to=READY"),
             (b"MAINT\r\n", [None], "server is in maintenance", "from=READY to=MAINT"),
             (b"up\n", [None], "server is in maintenance", "from=READY to=MAINT"),
             (b"ready,up\n", ["asked"], "server is ready", "from=MAINT to=READY"),
             (b"down #disk full\n", [None], "server is down", 'from=UP to=DOWN reason="agent: down disk full"'),
             (b"ready 75%\n", [None], "server has another share", "from=100 to=75"),
             (b"up\n", ["asked"], "server is up", 'from=DOWN to=UP reason="agent: up"'),
             (b"0%", [None], "server has another share", "from=75 to=0"),
             (b"100%", ["asked"], "server has another share", "from=0 to=100"),
             (b"stopped#gone\n", [None], "server is down", 'reason="agent: stopped gone"'),
             (b"fail\n", [None], "server is down", 'reason="agent: stopped gone"'),
             (b"up drain\n", [None], "server is draining", "from=READY to=DRAIN"),
             (b"ready\n", ["asked"], "server is ready", "from=DRAIN to=READY")]
    for said, serving, what, how in steps:
        agent.now_says(said)
        await_servers(t, proxy, serving)
        line = await_line(proxy, what)
        assert how in line and f"pool=group server={asked.address} " in line, (said, line)
    counts = {what: len(lines(proxy, what)) for what in ("is draining", "is ready", "in maintenance", "is down", "is up", "another share")}
    assert counts == {"is draining": 2, "is ready": 3, "in maintenance": 1, "is down": 2, "is up": 2, "another share": 3}, counts


def test_agent_share(t):
    """A share of the weight changes how many requests a server gets. The other's agent, on another address, is not there."""
    agent, asked, other = Agent(t, b"100%\n"), Well(t, "asked"), Well(t, "other", host="::1")
    proxy = t.pool([server(asked, weight=100), server(other, weight=100)],
                   {"health": {"type": "none", "agent_port": agent.port, **FAST}})

    def shares():
        client = t.client(proxy)
        names = [client.get("/").body.decode() for _ in range(60)]
        client.close()
        return names.count("asked"), names.count("other")
    assert shares() == (30, 30)
    agent.now_says(b"20%\n")
    await_line(proxy, f"server has another share pool=group server={asked.address} from=100 to=20")
    assert shares() == (10, 50)
    agent.now_says(b"150%\n")
    await_line(proxy, "from=20 to=100")
    assert shares() == (30, 30)


def test_silent_and_odd_agents_change_nothing(t):
    """An agent that cannot be asked, or says what nobody understands, leaves all as it was; that is told once."""
    agent, asked = Agent(t, b"drain\n"), Well(t, "asked")
    proxy = t.pool([server(asked)], {"health": {"type": "none", "agent_port": agent.port, **FAST}})
    await_servers(t, proxy, [None])
    agent.now_says(b"drain hello\n")
    assert 'word="hello"' in await_line(proxy, "an agent said what is not understood")
    agent.now_says(b"\x00\xff\"\n")
    await_line(proxy, "an agent does not answer")
    agent.now_says(b"")
    agent.now_says(b"y" * 5000)
    assert who_serves(t, proxy, 3) == [None]
    agent.origin.close_listener()
    time.sleep(0.1)
    assert who_serves(t, proxy, 3) == [None]
    assert len(lines(proxy, "an agent said what")) == 1 and len(lines(proxy, "an agent does not answer")) == 1
    again = Origin(raw_handler=lambda conn: conn.send(b"ready\n"), port=agent.port)
    t.origins.append(again)
    await_line(proxy, "an agent answers again")
    await_servers(t, proxy, ["asked"])


def test_agent_and_check_together(t):
    """A server serves when both let it."""
    agent, well = Agent(t, b"up\n"), Well(t, "asked")
    proxy = t.pool([server(well)], http(agent_port=agent.port, agent_interval="40ms"))
    await_servers(t, proxy, ["asked"])
    well.status = 500
    await_line(proxy, 'reason="status 500"')
    agent.now_says(b"down\n")
    await_line(proxy, 'reason="agent: down"')
    well.status = 200
    await_line(proxy, 'reason="status 200"')
    assert who_serves(t, proxy, 3) == [None]
    agent.now_says(b"up\n")
    await_servers(t, proxy, ["asked"])


# -- bounds ---------------------------------------------------------------------------------------------------------------


def test_probes_in_flight_are_bounded(t):
    """health_probes is the most that is in flight, and every server has its turn all the same."""
    most, lock, now, seen = [0], threading.Lock(), set(), set()

    def slowly(conn):
        with lock:
            now.add(conn)
            most[0] = max(most[0], len(now))
        conn.stream.fill()
        time.sleep(0.02)
        with lock:
            now.discard(conn)
            seen.add(bytes(conn.raw).split(b" ")[1])
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        conn.wait_end(1)
    origin = t.origin(raw_handler=slowly)
    groups = {f"g{i}": {"servers": [server(origin)], "health": {"type": "http", "path": f"/{i}", **FAST}} for i in range(24)}
    proxy = t.proxy(locations=[{"path": "/", "proxy_pass": "http://g0"}], upstreams=groups, health_probes=3)
    wait_for(lambda: len(seen) == 24, scaled(PATIENCE), "every group to be checked")
    proxy.finish()
    assert most[0] <= 3, most
    assert int(re.search(r"health thread delayed=(\d+)", proxy.stderr())[1]) > 0


def test_nothing_leaks(t):
    """Hundreds of checks of every ending leave no descriptor behind, and no completion without an owner."""
    agent = Agent(t, b"up\n")
    dead = {"address": f"127.0.0.1:{free_port()}", "max_fails": 0}
    well, silent = Well(t), t.origin(hang)
    quick = {**FAST, "interval": "10ms", "timeout": "30ms", "expect_body": "well", "agent_port": agent.port}
    proxy = t.pool([server(well), server(silent), dead], http(**quick))
    asked_often(well, 20)
    before = proxy.descriptors()
    asked_often(well, 200)
    after = min(proxy.descriptors() for _ in range(20))
    assert after <= before + 6, (before, after)
    proxy.finish()
    assert re.search(r"health thread .* stale=0 enter_errors=0", proxy.stderr())


def test_stop_with_checks_in_flight(t):
    """A check that hangs does not hold the process."""
    silent = t.origin(hang)
    proxy = t.pool([server(silent)], http(timeout="1h"))
    wait_for(lambda: silent.requests(), scaled(PATIENCE), "a check")
    begun = time.monotonic()
    proxy.finish()
    assert time.monotonic() - begun < scaled(5)


def test_no_health_no_thread(t):
    """Without a group that is checked there is no health thread, and no server is asked."""
    well = Well(t)
    proxy = t.pool([server(well)])
    expect_status(t.client(proxy).get("/"), 200)
    proxy.finish()
    assert "health" not in proxy.stderr() and len(well.origin.connections) == 1


def test_configuration_errors(t):
    """Each with its line and what would be right."""
    cases = [('type = "htp";', 'did you mean "http"'), ('path = "/x";', 'only with type = "http"'),
             ('type = "http"; path = "x";', "must begin with '/'"), ('type = "http"; expect = [ "2xx" ];', '"200-399"'),
             ('type = "http"; expect = [ "399-200" ];', "statuses"), ('type = "http"; expect_body = "~ (";', "regex"),
             ('type = "http"; headers = { Host = "a"; };', '"host"'), ('type = "http"; headers = { X = "$host"; };', "variable"),
             ('type = "http"; method = "G T";', "method"), ('type = "http"; method = "HEAD"; expect_body = "x";', "HEAD"),
             ('interval = "1ms";', "10ms to 1d"), ("rise = 0;", "1 to 1000"), ("jitter = 51;", "0 to 50"),
             ("port = 65536;", "0 to 65535"), ('initial = "dwn";', 'did you mean "down"'), ("intervall = 1;", '"interval"')]
    for text, part in cases:
        status, _, err, path = t.test_config(
            'upstreams: { a: { servers = ( { address = "127.0.0.1:1"; } );\nhealth: {\n' + text + "\n}; }; };\n", "-t")
        assert status != 0 and part in err and f"{path}:3" in err, (text, err)


def test_tcp_checks_do_not_reach_the_program(t):
    """The kernel of a server answers a TCP check; the program behind it is left alone."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(16)
        address = "127.0.0.1:%d" % listener.getsockname()[1]
        proxy = t.pool([{"address": address, "max_fails": 0}], tcp(interval="10ms"))
        time.sleep(scaled(0.5))
        proxy.finish()
        probes = int(re.search(r"probes=(\d+) failures=0 ", proxy.stderr())[1])
        came = 0
        listener.setblocking(False)
        try:
            while True:
                listener.accept()[0].close()
                came += 1
        except BlockingIOError:
            pass
        assert probes > 3 and came <= probes // 2, f"{came} of {probes} checks came to the program"


# -- rings of any size ----------------------------------------------------------------------------------------------------


def test_checks_with_the_smallest_rings(t):
    """The health thread takes part in what makes rare events common: it starts, checks, and all servers serve."""
    origins = [Well(t, name) for name in "abcdefgh"]
    proxy = t.pool([server(origin) for origin in origins], http(), engine={"sq_entries": 8, "cq_entries": 64})
    for origin in origins:
        asked_often(origin)
    await_servers(t, proxy, "abcdefgh")

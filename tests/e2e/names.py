# SPDX-License-Identifier: GPL-3.0-or-later
"""
Servers that are given by name: what a name server of our own says becomes servers, at the start and whenever it says something else.
Origins are on several addresses of the loopback network, on one port.
"""

import re
import signal
import threading
import time

from crowd import Gate
from dns import Dns
from harness import Skip, expect_status, free_port, scaled, wait_gone
from origin import Origin, answer_plainly
from wire import wait_for

SECONDS = 10.0


def name_server(t):
    made = Dns()
    t.origins.append(made)
    made.violations = []
    return made


def origins(t, hosts, handler=answer_plainly):
    """One origin per address, all on one port, each named by its address: (port, {address: origin})."""
    for _ in range(20):
        port = free_port()
        made = {}
        try:
            for host in hosts:
                made[host] = Origin(handler, name=host, host=host, port=port)
        except OSError:
            for origin in made.values():
                origin.close()
            continue
        t.origins += made.values()
        return port, made
    raise AssertionError("no port that is free on all addresses")


def await_line(proxy, pattern, count=1):
    """Waits for so many lines of the error log; returns them."""
    def lines():
        found = [line for line in proxy.stderr().splitlines() if re.search(pattern, line)]
        return found if len(found) >= count else None
    return wait_for(lines, scaled(SECONDS), f"{count} lines with {pattern!r}, in: {proxy.stderr()[-1500:]}")


def count_lines(proxy, pattern):
    return len(re.findall(pattern, proxy.stderr()))


def answered_by(client, requests=12):
    """Who answered so many requests: {name: how many}."""
    names = [expect_status(client.get("/"), 200).body.split()[0].decode() for _ in range(requests)]
    return {name: names.count(name) for name in sorted(set(names))}


def await_servers(client, *expected):
    wait_for(lambda: set(answered_by(client, 2 * len(expected) + 2)) == set(expected), scaled(SECONDS),
             f"requests to go to {expected}")


# -- addresses ------------------------------------------------------------------------------------------------------


def test_several_addresses_are_several_servers(t):
    dns = name_server(t)
    port, _ = origins(t, ["127.0.0.1", "127.0.0.2", "127.0.0.3"])
    dns.set("app.test", ttl=60, A=["127.0.0.3", "127.0.0.1", "127.0.0.2"])
    proxy = t.pool([{"address": f"app.test:{port}"}], resolver=dns.settings())
    assert answered_by(t.client(proxy)) == {"127.0.0.1": 4, "127.0.0.2": 4, "127.0.0.3": 4}
    assert count_lines(proxy, "addresses changed") == 0


def test_both_families(t):
    dns = name_server(t)
    try:
        port, _ = origins(t, ["127.0.0.1", "::1"])
    except AssertionError:
        raise Skip("no IPv6 loopback") from None
    dns.set("app.test", ttl=60, A=["127.0.0.1"], AAAA=["::1"])
    assert set(answered_by(t.client(t.pool([{"address": f"app.test:{port}"}], resolver=dns.settings())))) == {"127.0.0.1", "::1"}


def test_addresses_come_and_go(t):
    """Each change is logged once, and the others are left alone."""
    dns = name_server(t)
    port, _ = origins(t, ["127.0.0.1", "127.0.0.2", "127.0.0.3"])
    dns.set("app.test", A=["127.0.0.1"])
    proxy = t.pool([{"address": f"app.test:{port}"}], resolver=dns.settings(), workers=2)
    client = t.client(proxy)
    assert answered_by(client, 4) == {"127.0.0.1": 4}
    dns.set("app.test", A=["127.0.0.1", "127.0.0.2"])
    await_line(proxy, rf'\[notice\].*addresses changed pool=group name=app.test added="127.0.0.2:{port}" removed=""')
    await_servers(client, "127.0.0.1", "127.0.0.2")
    dns.set("app.test", A=["127.0.0.2", "127.0.0.3"])
    await_line(proxy, rf'addresses changed .* added="127.0.0.3:{port}" removed="127.0.0.1:{port}"')
    assert set(answered_by(client)) == {"127.0.0.2", "127.0.0.3"}
    dns.set("app.test", A=["127.0.0.1"])
    await_line(proxy, rf'addresses changed .* added="127.0.0.1:{port}" removed="127.0.0.2:{port},127.0.0.3:{port}"')
    assert set(answered_by(client)) == {"127.0.0.1"}
    assert count_lines(proxy, "addresses changed") == 3


def test_nothing_is_asked_before_the_ttl_is_over(t):
    """The name with the short TTL is asked for many times, the other one not once more."""
    dns = name_server(t)
    port, _ = origins(t, ["127.0.0.1"])
    dns.set("long.test", ttl=3600, A=["127.0.0.1"])
    dns.set("short.test", ttl=0, A=["127.0.0.1"])
    t.pool([{"address": f"long.test:{port}"}, {"address": f"short.test:{port}"}], resolver=dns.settings())
    before = dns.asked("long.test")
    wait_for(lambda: dns.asked("short.test") >= 12, scaled(SECONDS), "the short TTL to be over a few times")
    assert dns.asked("long.test") == before
    assert before == 2, "A and AAAA once, at the start"


def test_requests_to_an_address_that_goes_finish(t):
    """And its idle connections are closed."""
    dns = name_server(t)
    release = threading.Event()

    def slow(conn, request):
        if request.target == "/slow":
            assert release.wait(scaled(SECONDS))
        answer_plainly(conn, request)
    port, made = origins(t, ["127.0.0.1", "127.0.0.2"], slow)
    dns.set("app.test", A=["127.0.0.2"])
    proxy = t.pool([{"address": f"app.test:{port}"}], resolver=dns.settings())
    client, waiting = t.client(proxy), t.client(proxy)
    waiting.send(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
    wait_for(lambda: made["127.0.0.2"].requests(), scaled(SECONDS), "the slow request")
    assert answered_by(client, 2) == {"127.0.0.2": 2}
    idle = made["127.0.0.2"].connections[1]
    dns.set("app.test", A=["127.0.0.1"])
    await_line(proxy, "addresses changed")
    assert answered_by(client, 4) == {"127.0.0.1": 4}
    wait_gone(idle)
    release.set()
    response = expect_status(waiting.response(), 200)
    assert response.complete and response.body.startswith(b"127.0.0.2 ")


def test_names_are_let_be_while_the_process_drains(t):
    """Other addresses during a graceful stop harm nobody: it ends with the last request, and cleanly."""
    dns = name_server(t)
    release = threading.Event()

    def slow(conn, request):
        assert release.wait(scaled(SECONDS))
        answer_plainly(conn, request)
    port, made = origins(t, ["127.0.0.1", "127.0.0.2"], slow)
    dns.set("app.test", A=["127.0.0.2"])
    proxy = t.pool([{"address": f"app.test:{port}"}], resolver=dns.settings())
    waiting = t.client(proxy)
    waiting.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    wait_for(lambda: made["127.0.0.2"].requests(), scaled(SECONDS), "the request")
    proxy.send_signal(signal.SIGQUIT)
    await_line(proxy, "stopping signal=QUIT")
    dns.set("app.test", A=["127.0.0.1"])
    time.sleep(0.5)  # five times what an answer holds
    release.set()
    expect_status(waiting.response(), 200)
    waiting.close()
    assert proxy.wait(SECONDS) == 0


def test_the_next_address_serves_while_requests_to_the_last_go_on(t):
    """Also where only one address of the name is used."""
    dns = name_server(t)
    release = threading.Event()

    def slow(conn, request):
        if request.target == "/slow":
            conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nbeg")
            assert release.wait(scaled(SECONDS))
            conn.send(b"end")
        else:
            answer_plainly(conn, request)
    port, _ = origins(t, ["127.0.0.1", "127.0.0.2"], slow)
    dns.set("app.test", A=["127.0.0.2"])
    proxy = t.pool([{"address": f"app.test:{port}", "addresses": 1}], resolver=dns.settings(), workers=2)
    waiting, client = t.client(proxy), t.client(proxy)
    waiting.send(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
    head = waiting.head()
    dns.set("app.test", A=["127.0.0.1"])
    await_line(proxy, rf'addresses changed .* added="127.0.0.1:{port}" removed="127.0.0.2:{port}"')
    assert answered_by(client, 4) == {"127.0.0.1": 4}
    release.set()
    assert b"".join(waiting.body(head)) == b"begend" and head.complete
    assert count_lines(proxy, "addresses changed") == 1


def test_a_waiting_request_keeps_the_name_of_the_server_it_was_with(t):
    """A request that failed at an address waits for the others; the log names that address, though the name has moved on."""
    dns, gate, log = name_server(t), Gate(is_open=False), t.dir / "access.log"
    busy = t.origin(gate, name="busy")
    port, _ = origins(t, ["127.0.0.3"])
    dns.set("app.test", A=["127.0.0.2"])
    proxy = t.pool([{"address": f"app.test:{port}", "addresses": 1, "max_fails": 0}, {"address": busy.address, "max_conns": 1}],
                   {"queue": {"size": 5, "timeout": f"{int(scaled(1500))}ms"}}, resolver=dns.settings(), log={"access": str(log)})
    held, waits = t.client(proxy), t.client(proxy)
    held.send(b"GET /held HTTP/1.1\r\nHost: a\r\n\r\n")
    gate.wait_inside(1)
    waits.send(b"GET /waits HTTP/1.1\r\nHost: a\r\n\r\n")
    await_line(proxy, "cannot connect .*server=127.0.0.2.*/waits")
    dns.set("app.test", A=["127.0.0.3"])
    expect_status(waits.response(), 503, 502)
    wait_for(lambda: log.exists() and f" upstream=127.0.0.2:{port} " in log.read_text(), scaled(SECONDS), "the line of /waits")
    await_line(proxy, rf'addresses changed .* added="127.0.0.3:{port}"')
    gate.open()
    expect_status(held.response(), 200)


def test_all_addresses_change_at_once(t):
    """With every place taken, and under load: no request is refused."""
    dns = name_server(t)
    port, _ = origins(t, ["127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4"])
    pairs = ["127.0.0.1", "127.0.0.2"], ["127.0.0.3", "127.0.0.4"]
    dns.set("app.test", A=pairs[0])
    proxy = t.pool([{"address": f"app.test:{port}", "addresses": 2}], resolver=dns.settings(), workers=2)
    client = t.client(proxy)
    for turn in range(6):
        dns.set("app.test", A=pairs[(turn + 1) % 2])
        wait_for(lambda: set(answered_by(client, 8)) == set(pairs[(turn + 1) % 2]), scaled(SECONDS), "the others to serve")


def test_an_address_that_comes_back_gets_its_place_at_once(t):
    """Though it is still in use there: it is the same server."""
    dns = name_server(t)
    release = threading.Event()

    def slow(conn, request):
        if request.target == "/slow":
            assert release.wait(scaled(SECONDS))
        answer_plainly(conn, request)
    port, made = origins(t, ["127.0.0.1", "127.0.0.2"], slow)
    dns.set("app.test", A=["127.0.0.1", "127.0.0.2"])
    proxy = t.pool([{"address": f"app.test:{port}", "addresses": 2}], resolver=dns.settings())
    waiting, client = [t.client(proxy), t.client(proxy)], t.client(proxy)
    for one in waiting:
        one.send(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
    wait_for(lambda: all(origin.requests() for origin in made.values()), scaled(SECONDS), "the slow requests")
    dns.set("app.test", A=["127.0.0.1"])
    await_line(proxy, rf'addresses changed .* removed="127.0.0.2:{port}"')
    dns.set("app.test", A=["127.0.0.1", "127.0.0.2"])
    await_line(proxy, rf'addresses changed .* added="127.0.0.2:{port}"')
    assert set(answered_by(client)) == {"127.0.0.1", "127.0.0.2"}
    release.set()
    for one in waiting:
        expect_status(one.response(), 200)


def test_more_addresses_than_are_used(t):
    """The first ones are used, and that is said once, until it is so again."""
    dns = name_server(t)
    port, _ = origins(t, ["127.0.0.1", "127.0.0.2", "127.0.0.10"])
    dns.set("app.test", A=["127.0.0.10", "127.0.0.2", "127.0.0.1"])
    proxy = t.pool([{"address": f"app.test:{port}", "addresses": 2}], resolver=dns.settings())
    client = t.client(proxy)
    assert set(answered_by(client)) == {"127.0.0.1", "127.0.0.2"}
    await_line(proxy, r"\[warn\].*name has more addresses than are used pool=group name=app.test used=2 left_out=1")
    before = dns.asked("app.test")
    wait_for(lambda: dns.asked("app.test") >= before + 6, scaled(SECONDS), "the name to be asked for again")
    assert count_lines(proxy, "more addresses than are used") == 1
    dns.set("app.test", A=["127.0.0.10", "127.0.0.2"])
    await_servers(client, "127.0.0.2", "127.0.0.10")
    dns.set("app.test", A=["127.0.0.10", "127.0.0.2", "127.0.0.1"])
    await_line(proxy, "more addresses than are used", 2)
    await_servers(client, "127.0.0.1", "127.0.0.2")


# -- failures -------------------------------------------------------------------------------------------------------


def keeps_serving(t, fail, repair):
    dns = name_server(t)
    port, _ = origins(t, ["127.0.0.1", "127.0.0.2"])
    dns.set("app.test", A=["127.0.0.1", "127.0.0.2"])
    proxy = t.pool([{"address": f"app.test:{port}"}], resolver=dns.settings())
    client = t.client(proxy)
    fail(dns)
    line = await_line(proxy, r"\[warn\].*name cannot be resolved, it keeps what it has pool=group name=app.test")[0]
    assert re.search(r'reason="[^"]+" addresses=2', line), line
    before = dns.asked("app.test")
    wait_for(lambda: dns.asked("app.test") >= before + 4, scaled(SECONDS), "further tries")
    assert set(answered_by(client)) == {"127.0.0.1", "127.0.0.2"}
    repair(dns)
    await_line(proxy, r"\[notice\].*name is resolved again pool=group name=app.test tries=\d")
    assert count_lines(proxy, "cannot be resolved") == 1
    assert count_lines(proxy, "resolved again") == 1
    assert count_lines(proxy, "addresses changed") == 0
    assert set(answered_by(client)) == {"127.0.0.1", "127.0.0.2"}


def test_a_name_that_is_gone_keeps_its_addresses(t):
    keeps_serving(t, lambda dns: dns.remove("app.test"), lambda dns: dns.set("app.test", A=["127.0.0.1", "127.0.0.2"]))


def test_a_name_without_addresses_keeps_those_it_had(t):
    keeps_serving(t, lambda dns: dns.set("app.test"), lambda dns: dns.set("app.test", A=["127.0.0.1", "127.0.0.2"]))


def test_a_name_server_that_fails_changes_nothing(t):
    keeps_serving(t, lambda dns: setattr(dns, "failing", "servfail"), lambda dns: setattr(dns, "failing", None))


def test_a_name_server_that_is_silent_changes_nothing(t):
    keeps_serving(t, lambda dns: setattr(dns, "failing", "silent"), lambda dns: setattr(dns, "failing", None))


def test_the_first_name_server_is_down(t):
    """The second one is asked."""
    dns = name_server(t)
    port, _ = origins(t, ["127.0.0.1"])
    dns.set("app.test", A=["127.0.0.1"])
    settings = dns.settings()
    settings["servers"] = [f"127.0.0.1:{free_port()}", *settings["servers"]]
    proxy = t.pool([{"address": f"app.test:{port}"}], resolver=settings)
    before = dns.asked("app.test")
    wait_for(lambda: dns.asked("app.test") >= before + 4, scaled(SECONDS), "the name to be asked for again")
    assert answered_by(t.client(proxy), 2) == {"127.0.0.1": 2}
    assert count_lines(proxy, "cannot be resolved") == 0


def test_a_name_that_is_not_found_fails_the_test(t):
    """As in nginx: -t and the start fail, and file and line are told."""
    dns = name_server(t)
    settings = f'resolver: {{ servers = "127.0.0.1:{dns.port}"; timeout = "300ms"; tries = 1; }};\n'
    sites = 'sites = ( { listen = "127.0.0.1:1"; locations = ( { path = "/"; proxy_pass = "http://%s"; } ); } );\n'
    status, _, err, path = t.test_config(settings + '\nupstreams: { u: { servers = (\n { address = "gone.test"; } ); }; };\n', "-t")
    assert status == 1 and re.search(rf'\[emerg\] host not found in upstream "gone.test" \(.+\) in {re.escape(path)}:4\n', err), err
    status, _, err, path = t.test_config(settings + sites % "gone.test:8080", "-t")
    assert status == 1 and re.search(rf'host not found in upstream "gone.test:8080" \(.+\) in {re.escape(path)}:2\n', err), err
    status, _, err, path = t.test_config(settings + sites % "_http._tcp.test", "-t")
    assert status == 1 and f'in {path}:2\n' in err, err
    dns.set("gone.test", A=["127.0.0.1"])
    status, out, err, _ = t.test_config(settings + sites % "gone.test:8080", "-T")
    assert status == 0 and f'servers = [ "127.0.0.1:{dns.port}" ];' in out, err


# -- where names come from ------------------------------------------------------------------------------------------


def test_localhost_needs_no_name_server(t):
    dns = name_server(t)
    origin = t.origin()
    proxy = t.proxy(locations=[{"path": "/", "proxy_pass": f"http://localhost:{origin.port}"}], resolver=dns.settings())
    client = t.client(proxy)
    for _ in range(4):
        expect_status(client.get("/"), 200)
    assert dns.asked() == 0


def test_a_name_that_is_not_to_be_resolved_again_stays(t):
    dns = name_server(t)
    origin = t.origin()
    proxy = t.pool([{"address": f"localhost:{origin.port}", "resolve": False}], resolver=dns.settings())
    for _ in range(4):
        expect_status(t.client(proxy).get("/"), 200)
    assert dns.asked() == 0


def test_the_host_of_a_url_is_followed(t):
    dns = name_server(t)
    port, _ = origins(t, ["127.0.0.1", "127.0.0.2"])
    dns.set("app.test", A=["127.0.0.1"])
    proxy = t.proxy(locations=[{"path": "/", "proxy_pass": f"http://app.test:{port}"}], resolver=dns.settings())
    client = t.client(proxy)
    assert answered_by(client, 2) == {"127.0.0.1": 2}
    dns.set("app.test", A=["127.0.0.2"])
    await_line(proxy, rf'addresses changed pool=app.test:{port} name=app.test added="127.0.0.2:{port}"')
    assert answered_by(client, 2) == {"127.0.0.2": 2}


# -- SRV ------------------------------------------------------------------------------------------------------------


def test_srv_gives_ports_and_weights(t):
    dns = name_server(t)
    heavy, light = t.origin(name="heavy"), t.origin(name="light")
    dns.set("a.test", A=["127.0.0.1"])
    dns.set("_http._tcp.test", SRV=[(10, 30, heavy.port, "a.test"), (10, 10, light.port, "a.test")])
    proxy = t.pool([{"address": "_http._tcp.test", "weight": 100}], resolver=dns.settings())
    got = answered_by(t.client(proxy), 40)
    assert 29 <= got["heavy"] <= 31, got
    dns.set("_http._tcp.test", SRV=[(10, 10, heavy.port, "a.test"), (10, 30, light.port, "a.test")])
    client = t.client(proxy)
    wait_for(lambda: answered_by(client, 20).get("light", 0) >= 14, scaled(SECONDS), "the weights to change")
    assert count_lines(proxy, "addresses changed") == 0, "the weights of addresses that stay are no change of addresses"


def test_srv_priorities_are_backups(t):
    dns = name_server(t)
    first, second = t.origin(name="first"), t.origin(name="second")
    dns.set("a.test", A=["127.0.0.1"])
    dns.set("_http._tcp.test", SRV=[(20, 1, second.port, "a.test"), (10, 1, first.port, "a.test")])
    proxy = t.pool([{"address": "_http._tcp.test"}], resolver=dns.settings())
    client = t.client(proxy)
    assert answered_by(client, 8) == {"first": 8}
    dns.set("_http._tcp.test", SRV=[(10, 1, second.port, "a.test"), (20, 1, first.port, "a.test")])
    wait_for(lambda: answered_by(client, 2) == {"second": 2}, scaled(SECONDS), "the two to change places")
    second.close_listener()
    for connection in second.open_connections():
        connection.close()
    wait_for(lambda: client.get("/").body.startswith(b"first "), scaled(SECONDS), "the backup to serve")


def test_srv_of_a_plain_name(t):
    """`srv = true` says so."""
    dns = name_server(t)
    origin = t.origin()
    dns.set("a.test", A=["127.0.0.1"])
    dns.set("app.test", SRV=[(0, 0, origin.port, "a.test")])
    expect_status(t.client(t.pool([{"address": "app.test", "srv": True}], resolver=dns.settings())).get("/"), 200)


def test_srv_that_is_gone_keeps_its_servers(t):
    dns = name_server(t)
    origin = t.origin()
    dns.set("a.test", A=["127.0.0.1"])
    dns.set("_http._tcp.test", SRV=[(0, 0, origin.port, "a.test")])
    proxy = t.pool([{"address": "_http._tcp.test"}], resolver=dns.settings())
    dns.remove("a.test")
    await_line(proxy, "name cannot be resolved")
    expect_status(t.client(proxy).get("/"), 200)
    dns.set("a.test", A=["127.0.0.1"])
    await_line(proxy, "name is resolved again")


# -- checks ---------------------------------------------------------------------------------------------------------


def test_checks_follow_the_addresses(t):
    """A new address is probed, one that is gone is not any more; and what a place was found to be ends with its address."""
    dns = name_server(t)
    sick = {"127.0.0.2"}

    def handler(conn, request):
        conn.respond(503 if request.target == "/check" and conn.origin.name in sick else 200, f"{conn.origin.name} ".encode())
    port, made = origins(t, ["127.0.0.1", "127.0.0.2", "127.0.0.3"], handler)
    probes = {host: lambda host=host: sum(r.target == "/check" for r in made[host].requests()) for host in made}
    dns.set("app.test", A=["127.0.0.1", "127.0.0.2"])
    health = {"type": "http", "path": "/check", "interval": "50ms", "fall": 1, "rise": 1}
    proxy = t.pool([{"address": f"app.test:{port}", "addresses": 2}], upstream={"health": health}, resolver=dns.settings())
    client = t.client(proxy)
    await_servers(client, "127.0.0.1")
    dns.set("app.test", A=["127.0.0.1", "127.0.0.3"])
    await_line(proxy, rf'added="127.0.0.3:{port}"')
    await_servers(client, "127.0.0.1", "127.0.0.3")
    before = probes["127.0.0.2"](), probes["127.0.0.3"]()
    wait_for(lambda: probes["127.0.0.3"]() >= before[1] + 5, scaled(SECONDS), "the new address to be probed")
    assert probes["127.0.0.2"]() == before[0], "an address that is gone was probed"

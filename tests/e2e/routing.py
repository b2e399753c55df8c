# SPDX-License-Identifier: GPL-3.0-or-later
"""
Which site and which location answer, what proxy_pass makes of the path, and what the proxy says by itself. nginx's
rules are the measure (PEERS.md 1, DESIGN.md 7). Numbers in docstrings are requirements of HTTP.md.
"""

import json

from harness import expect_status, free_port, same_fields


def say(text, status=200):
    return {"status": status, "body": text}


def location(path, text):
    return {"path": path, "respond": say(text)}


def names_site(listen, names, text):
    site = {"listen": [listen], "locations": [location("/", text)]}
    return {**site, "server_name": names} if names is not None else site


def body_of(client, target="/", *fields):
    return expect_status(client.get(target, *fields), 200).body.decode()


def test_server_names(t):
    """33, DESIGN 6: exact, then the longest leading wildcard, then the longest trailing one, then the first site."""
    listen = f"127.0.0.1:{free_port()}"
    sites = [names_site(listen, ["first.test"], "first"), names_site(listen, ["example.com"], "exact"),
             names_site(listen, ["*.example.com"], "leading"), names_site(listen, ["*.deep.example.com"], "deeper"),
             names_site(listen, ["www.*"], "trailing"), names_site(listen, ["mail.example.com", "b.test"], "several")]
    client = t.client(t.start(t.config([], sites=sites)))
    for host, text in (("example.com", "exact"), ("EXAMPLE.com", "exact"), ("example.com:1234", "exact"),
                       ("a.example.com", "leading"), ("a.b.example.com", "leading"), ("x.deep.example.com", "deeper"),
                       ("www.anything.org", "trailing"), ("www.example.com", "leading"), ("mail.example.com", "several"),
                       ("b.test", "several"), ("unknown.test", "first"), ("xexample.com", "first"), ("com", "first")):
        assert body_of(client, "/", f"Host: {host}") == text, host


def test_absolute_form_routes_by_its_authority(t):
    """33: not by Host."""
    listen = f"127.0.0.1:{free_port()}"
    sites = [names_site(listen, ["a.test"], "a"), names_site(listen, ["b.test"], "b")]
    client = t.client(t.start(t.config([], sites=sites)))
    assert client.request(b"GET http://b.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n").body == b"b"


def test_listeners_choose_the_site(t):
    """DESIGN 6: the same name behind two ports is two sites."""
    ports = [f"127.0.0.1:{free_port()}" for _ in range(2)]
    proxy = t.start(t.config([], sites=[names_site(ports[0], ["a.test"], "one"), names_site(ports[1], ["a.test"], "two")]))
    for address, text in zip(proxy.addresses, ("one", "two")):
        assert body_of(t.client(address), "/", "Host: a.test") == text


def test_wildcard_and_exact_address_go_together(t):
    """PEERS 1: 0.0.0.0:PORT and 127.0.0.1:PORT in one configuration; the more exact one wins, as the kernel decides."""
    port = free_port()
    sites = [{"listen": [f"0.0.0.0:{port}"], "locations": [{"path": "/", "respond": {"body": "any"}}]},
             {"listen": [f"127.0.0.1:{port}"], "locations": [{"path": "/", "respond": {"body": "exact"}}]}]
    proxy = t.start({"workers": 2, "sites": sites})
    assert t.client(("127.0.0.1", port)).get("/").body == b"exact"
    assert t.client(("127.0.0.2", port)).get("/").body == b"any"
    assert proxy.process.poll() is None


def test_location_order(t):
    """DESIGN 6: exact; else the longest prefix; ^~ stops there; else the first matching regex in file order."""
    locations = [location(path, path.strip("$")) for path in
                 ("/", "= /", "/images", "/images/big", "^~ /static", r"~ \.php$", r"~* \.JPG$", r"~ ^/images/.*\.php$", "= /exact")]
    client = t.client(t.proxy(locations=locations))
    for target, path in (("/", "= /"), ("/x", "/"), ("/exact", "= /exact"), ("/exact/", "/"), ("/exact?q", "= /exact"),
                         ("/images/a", "/images"), ("/images/bigger", "/images/big"), ("/imagesque", "/images"),
                         ("/static/a.php", "^~ /static"), ("/a.php", r"~ \.php$"), ("/a.php?x=1", r"~ \.php$"),
                         ("/images/a.php", r"~ \.php$"), ("/images/big/a.jpg", r"~* \.JPG$"), ("/A.PHP", "/"),
                         ("/images", "/images"), ("/static", "^~ /static")):
        assert body_of(client, target) == path.strip("$"), target


def test_prefix_is_no_path_boundary(t):
    """DESIGN 6: "/images" takes "/images2" as in nginx, "/images/" takes neither."""
    client = t.client(t.proxy(locations=[location("/a/", "slash"), location("/b", "none"), location("/", "root")]))
    for target, text in (("/a/x", "slash"), ("/ab", "root"), ("/bc", "none"), ("/b/c", "none")):
        assert body_of(client, target) == text, target


def test_normalised_path_chooses_and_raw_path_is_forwarded(t):
    """11: dot segments, escapes and double slashes are judged as what the origin will take them for."""
    public, admin = t.origin(name="public"), t.origin(name="admin")
    client = t.client(t.proxy(locations=[{"path": "/", "proxy_pass": public.url}, {"path": "/admin", "proxy_pass": admin.url}]))
    for target in ("/admin/x", "/%61dmin/x", "/a/../admin/x", "//admin/x", "/a/%2e%2e/admin/x", "/./admin", "/%61%64min?x=/../"):
        assert body_of(client, target) == f"admin GET {target}\n", target
    for target in ("/admi/n", "/admin/../x", "/x?/admin", "/Admin"):
        assert body_of(client, target) == f"public GET {target}\n", target


def test_above_the_root_is_refused(t):
    """11, 30: ".." above the root, broken escapes and an encoded NUL are 400."""
    origin = t.origin()
    proxy = t.proxy(origin)
    for target in ("/..", "/../etc/passwd", "/a/../../b", "/%2e%2e/x", "/%", "/%2", "/%zz", "/a%00b"):
        expect_status(t.client(proxy).get(target), 400)
    assert not origin.requests()


def test_proxy_pass_without_uri(t):
    """DESIGN 6, 11: nothing of the path changes."""
    origin = t.origin()
    client = t.client(t.proxy(locations=[{"path": "/api", "proxy_pass": origin.url}]))
    body_of(client, "/api/x%20y?q=1")
    assert origin.requests()[0].target == "/api/x%20y?q=1"


def test_proxy_pass_with_uri(t):
    """DESIGN 6: the URI part replaces what the location matched; the query stays."""
    origin = t.origin()
    locations = [{"path": "/api/", "proxy_pass": origin.url + "/v1/"}, {"path": "/cut/", "proxy_pass": origin.url + "/"},
                 {"path": "/join", "proxy_pass": origin.url + "/j"}]
    client = t.client(t.proxy(locations=locations))
    for target, forwarded in (("/api/users?id=1", "/v1/users?id=1"), ("/api/", "/v1/"), ("/cut/a/b", "/a/b"),
                              ("/join", "/j"), ("/join/x", "/j/x"), ("/joined", "/jed"), ("/api/a%20b", "/v1/a%20b"),
                              ("/api/x/../y", "/v1/y"), ("/api/%41", "/v1/A")):
        body_of(client, target)
        assert origin.requests()[-1].target == forwarded, (target, origin.requests()[-1].target)


def test_proxy_pass_to_an_upstream_balances(t):
    """Issue 2, 8: smooth weighted round robin: 5,1,1 is a a b a c a a."""
    origins = [t.origin(name=name) for name in "abc"]
    servers = [{"address": o.address, "weight": w} for o, w in zip(origins, (5, 1, 1))]
    client = t.client(t.pool(servers, {"balance": "round_robin"}))
    order = "".join(body_of(client).split()[0] for _ in range(14))
    doubled = "aabacaa" * 3
    assert order in doubled, f"{order} is no stretch of {doubled}"


def test_down_and_backup_servers(t):
    """PEERS 1: down is never used, backup only when no primary can."""
    down, primary, backup = (t.origin(name=name) for name in ("down", "primary", "backup"))
    servers = [{"address": down.address, "down": True}, {"address": primary.address, "fail_timeout": "10s"},
               {"address": backup.address, "backup": True}]
    client = t.client(t.pool(servers))
    assert {body_of(client).split()[0] for _ in range(6)} == {"primary"}
    primary.close()
    assert {body_of(client).split()[0] for _ in range(4)} == {"backup"}
    assert not down.connections


def test_respond(t):
    """DESIGN 7: status, body and type of one's own, HEAD without a body, variables in the body."""
    locations = [{"path": "/", "respond": {"status": 418, "body": "I am $host", "content_type": "application/x-tea"}},
                 {"path": "/empty", "respond": {"status": 204}}]
    client = t.client(t.proxy(locations=locations))
    response = expect_status(client.get("/", "Host: tea.test"), 418)
    assert response.body == b"I am tea.test" and response.get("Content-Type") == "application/x-tea", response
    head = client.get("/", "Host: tea.test", method="HEAD")
    assert head.status == 418 and head.get("Content-Length") == "13", head
    assert client.get("/empty").status == 204
    assert expect_status(client.get("/", method="POST", body=b"x" * 1000), 418).get("Date")


def test_redirect(t):
    """DESIGN 6: status and target with variables."""
    locations = [{"path": "/old", "redirect": {"status": 301, "to": "https://$host$request_uri"}},
                 {"path": "/see", "redirect": {"status": 303, "to": "/other"}}]
    client = t.client(t.proxy(locations=locations))
    response = expect_status(client.get("/old/x?y=1", "Host: a.test:80"), 301)
    assert response.get("Location") == "https://a.test/old/x?y=1", response
    assert expect_status(client.get("/see"), 303).get("Location").endswith("/other")


def test_404_without_a_location(t):
    """Issue 2, 5: no location matches."""
    client = t.client(t.proxy(locations=[location("/a", "a")]))
    response = expect_status(client.get("/b"), 404)
    assert response.body and response.get("Content-Type"), response
    assert body_of(client, "/a") == "a"


def test_variables(t):
    """DESIGN 7: the values that set_headers may use."""
    origin = t.origin()
    names = ("host", "http_host", "remote_addr", "remote_port", "proxy_add_x_forwarded_for", "scheme", "server_port",
             "request_method", "request_uri", "uri", "http_user_agent", "request_id")
    headers = {f"V-{name.replace('_', '-')}": f"<${name}>" for name in names}
    headers["V-Literal"] = "<$$b-${host}->"
    proxy = t.proxy(locations=[{"path": "/", "proxy_pass": origin.url, "set_headers": headers}])
    client = t.client(proxy)
    body_of(client, "/a/../b%20c?q=1", "Host: Example.TEST:8080", "User-Agent: me", "X-Forwarded-For: 9.9.9.9")
    got = {name: value[1:-1] for name, value in origin.requests()[0].fields if name.startswith("V-")}
    for name, value in {"V-host": "example.test", "V-http-host": "Example.TEST:8080", "V-remote-addr": "127.0.0.1",
                        "V-remote-port": str(client.sock.getsockname()[1]), "V-scheme": "http",
                        "V-proxy-add-x-forwarded-for": "9.9.9.9, 127.0.0.1", "V-server-port": str(proxy.address[1]),
                        "V-request-method": "GET", "V-request-uri": "/a/../b%20c?q=1", "V-uri": "/b c",
                        "V-http-user-agent": "me", "V-Literal": "$b-example.test-"}.items():
        assert got[name] == value, (name, got[name], value)
    assert len(got["V-request-id"]) == 32 and int(got["V-request-id"], 16) >= 0, got


def test_request_ids_differ(t):
    """Issue 2, 9: another one for each request."""
    client = t.client(t.proxy(locations=[location("/", "$request_id")]))
    assert len({body_of(client) for _ in range(50)}) == 50


def test_set_headers_change_add_and_remove(t):
    """DESIGN 7: the innermost rule wins over what came and over what is set by default."""
    origin = t.origin()
    rules = {"Host": "inner.test", "X-New": "new", "X-Gone": "", "X-Changed": "after", "X-Real-IP": "", "User-Agent": "proxy"}
    client = t.client(t.proxy(locations=[{"path": "/", "proxy_pass": origin.url, "set_headers": rules}]))
    body_of(client, "/", "X-Gone: 1", "X-gone: 2", "X-Changed: before", "User-Agent: client")
    same_fields(origin.requests()[0], {"Host": "inner.test", "X-New": "new", "X-Gone": None, "X-Changed": "after",
                                       "X-Real-IP": None, "User-Agent": "proxy", "X-Forwarded-Proto": "http"})


def test_set_response_headers(t):
    """Issue 2, 6: the same towards the client."""
    origin = t.origin(lambda conn, _: conn.respond(fields=["Server: x", "X-Gone: 1", "X-Changed: before"]))
    rules = {"X-New": "for $host", "X-Gone": "", "X-Changed": "after"}
    client = t.client(t.proxy(locations=[{"path": "/", "proxy_pass": origin.url, "set_response_headers": rules}]))
    response = client.get("/", "Host: a.test")
    assert response.all("X-New") == ["for a.test"] and response.all("X-Changed") == ["after"], response
    assert not response.all("X-Gone"), response


def test_response_rules_hold_for_own_answers(t):
    """What the proxy answers by itself keeps to the rules, for the fields too that it writes: one line of each name, or none."""
    dead = f"http://127.0.0.1:{free_port()}"
    site = {"set_response_headers": {"Server": "", "Content-Type": "text/x-own", "X-New": "$host"}}
    locations = [{"path": "/", "respond": {"status": 404}}, {"path": "/to", "redirect": {"to": "/"}}, {"path": "/dead", "proxy_pass": dead}]
    client = t.client(t.proxy(locations=locations, site=site))
    for target, status in (("/", 404), ("/to", 302), ("/dead", 502)):
        response = expect_status(client.get(target, "Host: a.test"), status)
        assert not response.all("Server") and response.all("Content-Type") == ["text/x-own"], (target, response)
        assert response.all("X-New") == ["a.test"] and len(response.all("Date")) == 1, (target, response)
    plain = t.client(t.proxy(locations=locations)).get("/")
    assert plain.all("Server") == ["fairlead"] and plain.all("Content-Type") == ["text/plain"], plain


def test_site_rules_are_inherited(t):
    """DESIGN 7: a site's rules hold in its locations; the location's later ones win."""
    origin = t.origin()
    site = {"set_headers": {"X-Site": "site", "X-Both": "site"}}
    client = t.client(t.proxy(locations=[{"path": "/", "proxy_pass": origin.url, "set_headers": {"X-Both": "location"}}], site=site))
    body_of(client)
    same_fields(origin.requests()[0], {"X-Site": "site", "X-Both": "location"})


def test_error_pages(t):
    """Issue 2, 5: a file per status, for errors that the proxy itself makes, never for the origin's own."""
    page = t.dir / "sorry.html"
    page.write_text("<p>sorry</p>")
    origin = t.origin(lambda conn, _: conn.respond(502, b"theirs"))
    dead = f"http://127.0.0.1:{free_port()}"
    site = {"error_pages": [{"status": [404, 502], "file": str(page)}]}
    locations = [{"path": "/dead", "proxy_pass": dead}, {"path": "/theirs", "proxy_pass": origin.url}]
    client = t.client(t.proxy(locations=locations, site=site))
    for target, status in (("/none", 404), ("/dead", 502)):
        response = expect_status(client.get(target), status)
        assert response.body == b"<p>sorry</p>" and "html" in response.get("Content-Type", ""), response
    assert expect_status(client.get("/theirs"), 502).body == b"theirs"


def test_ipv6(t):
    """Issue 2, 6: IPv6 listener and server; X-Forwarded-For and X-Real-IP without brackets."""
    origin = t.origin(host="::1")
    proxy = t.proxy(origin, site={"listen": [f"[::1]:{free_port()}"]})
    client = t.client(proxy)
    body_of(client, "/", f"Host: [::1]:{proxy.address[1]}")
    same_fields(origin.requests()[0], {"X-Real-IP": "::1", "X-Forwarded-For": "::1", "Host": f"[::1]:{proxy.address[1]}"})


def test_unix_sockets(t):
    """Issue 2, 6: unix listener and server; the socket file goes with the process, so that a second start works."""
    path = str(t.dir / "listen.sock")
    origin = t.origin(path=str(t.dir / "origin.sock"))
    config = t.config([{"path": "/", "proxy_pass": "http://group"}], site={"listen": ["unix:" + path]},
                      upstreams={"group": {"servers": [{"address": origin.address}]}})
    for _ in range(2):
        proxy = t.start(config)
        for _ in range(3):
            assert body_of(t.client(proxy)) == "origin GET /\n"
        proxy.finish()
    assert len(origin.connections) == 2


def test_several_listeners(t):
    """Issue 2, 6: one site on IPv4, IPv6 and a unix socket at once."""
    listen = [f"127.0.0.1:{free_port()}", f"[::1]:{free_port()}", f"unix:{t.dir}/l.sock"]
    proxy = t.proxy(locations=[location("/", "here")], site={"listen": listen})
    for address in proxy.addresses:
        assert body_of(t.client(address)) == "here"


def test_sites_enabled(t):
    """DESIGN 7: each *.conf of the directory is read, relative to the file that names it."""
    port = free_port()
    enabled = t.dir / "sites-enabled"
    enabled.mkdir()
    text = f'sites = ( {{ listen = ["127.0.0.1:{port}"]; locations = ( {{ path = "/"; respond = {{ status = 200; body = "enabled"; }}; }} ); }} );'
    (enabled / "a.conf").write_text(text)
    (enabled / "ignored.txt").write_text("no configuration at all")
    config = t.config([location("/", "main")], sites_enabled="sites-enabled")
    client = t.client(t.start(config))
    assert body_of(client) == "main"
    assert body_of(t.client(("127.0.0.1", port))) == "enabled"


def test_json_in_a_respond_body(t):
    """DESIGN 7: quotes and line ends survive the configuration file."""
    text = json.dumps({"a": ["b\n", 'c"']})
    client = t.client(t.proxy(locations=[location("/", text)]))
    assert body_of(client) == text


def test_t_opens_the_logs(t):
    """Issue 2, 4: -t opens what is named; a log that the start could not open is told then."""
    for path, good in (("made.log", True), ("missing/access.log", False)):
        status, _, err, _ = t.test_config(f'log: {{ access = "{path}"; }}; sites = ( {{ listen = [ "127.0.0.1:{free_port()}" ]; }} );\n', "-t")
        assert (status == 0) == good and (good or "missing/access.log" in err), (path, status, err)
    assert (t.dir / "made.log").exists()

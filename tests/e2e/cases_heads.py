# SPDX-License-Identifier: GPL-3.0-or-later
"""
The table of malformed and strange request heads. Each case is raw bytes and the statuses that are right; the oracle is in
malformed.py. Where HTTP.md leaves a choice (policy), the set holds all that is allowed. Only data and its helpers here.

A status below 300 in the set means that the request may be accepted; what then reaches the origin must be one normalised
request. `check` looks at it.
"""

from dataclasses import dataclass
from typing import Callable, Optional

BAD = (400,)
OK = (200,)
EITHER = (200, 400)


@dataclass
class Case:
    """raw: the bytes; statuses: what is right; body: what the origin must get when accepted; partial: the origin may see
    an incomplete request before the rejection; closes: nothing after it is processed even when accepted; method: what the answer is to."""
    name: str
    raw: bytes
    statuses: tuple
    body: bytes = b""
    partial: bool = False
    closes: bool = False
    method: str = "GET"
    check: Optional[Callable] = None


def line(name, start, statuses=BAD, **more):
    """A request line in front of a good Host."""
    return Case("line_" + name, start + b"\r\nHost: a.test\r\n\r\n", statuses, **more)


def field(name, fields, statuses=BAD, **more):
    """A field, or several, after a good start."""
    return Case("field_" + name, b"GET /f HTTP/1.1\r\nHost: a.test\r\n" + fields + b"\r\n\r\n", statuses, **more)


def host(name, fields, statuses=BAD, start=b"GET /h HTTP/1.1", **more):
    return Case("host_" + name, start + b"\r\n" + fields + b"\r\n\r\n", statuses, **more)


def target(name, text, statuses=BAD, **more):
    return line("target_" + name, b"GET " + text + b" HTTP/1.1", statuses, **more)


def version(name, text, statuses=(400, 505), **more):
    return line("version_" + name, b"GET /v " + text, statuses, **more)


def forwarded(**expected):
    """A check: what the accepted request must be at the origin."""
    def check(request):
        for key, value in expected.items():
            got = getattr(request, key) if key in ("method", "target", "version") else request.get(key)
            assert got == value, f"{key} at the origin: {got!r}, expected {value!r}"
    return check


def lacks(*names):
    def check(request):
        there = [name for name in names if name in request.names()]
        assert not there, f"{there} reached the origin"
    return check


REQUEST_LINES = [
    line("double_space", b"GET  / HTTP/1.1"), line("double_space_before_version", b"GET /  HTTP/1.1"),
    line("tab", b"GET\t/ HTTP/1.1"), line("tab_before_version", b"GET /\tHTTP/1.1"),
    line("leading_space", b" GET / HTTP/1.1"),
    line("leading_tab", b"\tGET / HTTP/1.1"), line("trailing_space", b"GET / HTTP/1.1 "),
    line("trailing_tab", b"GET / HTTP/1.1\t"),
    line("vertical_tab", b"GET\x0b/ HTTP/1.1"), line("form_feed", b"GET /\x0cHTTP/1.1"),
    line("only_method", b"GET"),
    line("method_and_space", b"GET "), line("no_version", b"GET /"), line("no_version_space", b"GET / "),
    line("no_target", b"GET HTTP/1.1"), line("four_words", b"GET / x HTTP/1.1"),
    line("two_versions", b"GET / HTTP/1.1 HTTP/1.1"),
    line("reversed", b"HTTP/1.1 / GET"), line("response", b"HTTP/1.1 200 OK"),
    line("empty_then_garbage", b"\r\n\r\n\r\nX"),
    line("bare_cr_inside", b"GET /\r HTTP/1.1"), line("bare_cr_end", b"GET / HTTP/1.1\r"),
    line("nul_end", b"GET / HTTP/1.1\0"),
    line("nul_begin", b"\0GET / HTTP/1.1"), line("bom", b"\xef\xbb\xbfGET / HTTP/1.1"),
    line("quotes", b'"GET / HTTP/1.1"'),
    Case("line_http_0_9", b"GET /\r\n", BAD + (505,)),
    Case("line_h2_preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", (400, 505, 405)),
    Case("line_tls_hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(64)) + b"\r\n\r\n", BAD),
    Case("line_ssh", b"SSH-2.0-OpenSSH_9.2p1\r\n\r\n", BAD),
    Case("line_proxy_v1", b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", BAD),
    Case("line_proxy_v2", b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + b"\x01" * 12 + b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", BAD),
    Case("line_one_empty_line_before", b"\r\nGET /l HTTP/1.1\r\nHost: a\r\n\r\n", OK),
    Case("line_three_empty_lines_before", b"\r\n\r\n\r\nGET /l HTTP/1.1\r\nHost: a\r\n\r\n", EITHER),
    Case("line_bare_lf_before", b"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", BAD),
    Case("line_cr_before", b"\rGET / HTTP/1.1\r\nHost: a\r\n\r\n", BAD),
    Case("line_space_line_before", b" \r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", BAD),
    Case("line_space_after_start", b"GET / HTTP/1.1\r\n Host: a\r\n\r\n", BAD),
    Case("line_tab_after_start", b"GET / HTTP/1.1\r\n\tX: 1\r\nHost: a\r\n\r\n", BAD),
    Case("line_space_only_after_start", b"GET / HTTP/1.1\r\n \r\nHost: a\r\n\r\n", BAD),
]

LINE_ENDS = [
    Case("end_all_lf", b"GET / HTTP/1.1\nHost: a\n\n", BAD),
    Case("end_start_lf", b"GET / HTTP/1.1\nHost: a\r\n\r\n", BAD),
    Case("end_field_lf", b"GET / HTTP/1.1\r\nHost: a\n\r\n", BAD),
    Case("end_last_lf", b"GET / HTTP/1.1\r\nHost: a\r\n\n", BAD),
    Case("end_lf_cr", b"GET / HTTP/1.1\n\rHost: a\n\r\n\r", BAD),
    Case("end_cr_cr_lf", b"GET / HTTP/1.1\r\r\nHost: a\r\n\r\n", BAD),
    Case("end_cr_only", b"GET / HTTP/1.1\rHost: a\r\r", BAD),
    Case("end_field_cr", b"GET / HTTP/1.1\r\nHost: a\rX: 1\r\n\r\n", BAD),
    Case("end_empty_line_cr", b"GET / HTTP/1.1\r\nHost: a\r\n\rX", BAD),
    Case("end_empty_line_space", b"GET / HTTP/1.1\r\nHost: a\r\n \r\n\r\n", BAD),
    Case("end_hidden_field", b"GET / HTTP/1.1\r\nHost: a\r\nX: 1\nTransfer-Encoding: chunked\r\n\r\n", BAD),
    Case("end_hidden_request", b"GET / HTTP/1.1\r\nHost: a\r\nX: 1\n\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n", BAD),
]

METHODS = [
    line("method_at", b"G@T / HTTP/1.1"), line("method_nul", b"G\0T / HTTP/1.1"),
    line("method_high", b"G\x80T / HTTP/1.1"),
    line("method_parentheses", b"(GET) / HTTP/1.1"), line("method_colon", b"GET: / HTTP/1.1"),
    line("method_slash", b"GET/ / HTTP/1.1"),
    line("method_comma", b"GET, / HTTP/1.1"), line("method_quote", b"\"GET\" / HTTP/1.1"),
    line("method_equals", b"G=T / HTTP/1.1"),
    line("method_brace", b"{GET} / HTTP/1.1"), line("method_bracket", b"[GET] / HTTP/1.1"),
    line("method_del", b"GET\x7f / HTTP/1.1"),
    line("method_lower_case", b"get / HTTP/1.1", (200, 400, 501), check=forwarded(method="get")),
    line("method_long", b"A" * 5000 + b" / HTTP/1.1", (400, 414, 431, 501)),
    line("method_unknown", b"FROBNICATE / HTTP/1.1", OK, check=forwarded(method="FROBNICATE")),
    line("connect", b"CONNECT a.test:443 HTTP/1.1", (405, 501)),
    line("connect_no_port", b"CONNECT a.test HTTP/1.1", (400, 405, 501)),
    line("connect_empty_port", b"CONNECT a.test: HTTP/1.1", (400, 405, 501)),
    line("connect_zero_port", b"CONNECT a.test:0 HTTP/1.1", (400, 405, 501)),
    line("connect_path", b"CONNECT / HTTP/1.1", (400, 405, 501)),
    line("connect_absolute", b"CONNECT http://a.test/ HTTP/1.1", (400, 405, 501)),
    line("connect_large_port", b"CONNECT a.test:65536 HTTP/1.1", (400, 405, 501)),
    line("connect_asterisk", b"CONNECT * HTTP/1.1", (400, 405, 501)),
    Case("line_connect_body", b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\nContent-Length: 5\r\n\r\nhello", (400, 405, 501)),
    Case("line_connect_chunked", b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", (400, 405, 501)),
    Case("line_trace_body", b"TRACE / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", (400, 405, 501)),
]

VERSIONS = [
    version("2_0", b"HTTP/2.0"), version("3_0", b"HTTP/3.0"), version("0_9", b"HTTP/0.9"),
    version("10_0", b"HTTP/10.0"),
    version("1_11", b"HTTP/1.11"), version("1_dot", b"HTTP/1."), version("dot_1", b"HTTP/.1"),
    version("1", b"HTTP/1"),
    version("11", b"HTTP/11"), version("trailing", b"HTTP/1.1x"), version("lower", b"http/1.1"),
    version("mixed", b"HTTp/1.1"),
    version("comma", b"HTTP/1,1"), version("space", b"HTTP /1.1"), version("space_2", b"HTTP/ 1.1"),
    version("minus", b"HTTP/1.-1"),
    version("plus", b"HTTP/+1.1"), version("zero", b"HTTP/01.1"), version("zero_2", b"HTTP/1.01"),
    version("https", b"HTTPS/1.1"),
    version("x", b"XTTP/1.1"), version("none", b"/1.1"), version("hex", b"HTTP/0x1.1"), version("word", b"HTTP"),
    version("a", b"HTTP/a.b"),
    version("nul", b"HTTP/1.1\0"), version("high", b"HTTP/1.\xb1"), version("9_9", b"HTTP/9.9"),
    version("1_2", b"HTTP/1.2", OK, check=forwarded(version="HTTP/1.1")),
    version("1_9", b"HTTP/1.9", OK, check=forwarded(version="HTTP/1.1")),
]

CONTROLS = [0, 1, 7, 8, 9, 10, 11, 12, 13, 27, 31, 127]
TARGETS = [
    *[target(f"control_{code:02x}", b"/a%cb" % code) for code in CONTROLS],
    *[target(f"high_{code:02x}", b"/a%cb" % code) for code in (0x80, 0xa0, 0xc3, 0xff)],
    target("space", b"/a b"), target("fragment", b"/a#b"), target("only_fragment", b"#"),
    target("utf_8", "/é".encode()),
    target("no_slash", b"index.html"), target("question", b"?q=1"), target("asterisk", b"*"),
    target("asterisk_path", b"*/x"),
    target("authority", b"a.test:80"), target("authority_2", b"a.test"), target("dot", b"./a"),
    target("dot_dot", b".."),
    target("above_root", b"/../a"), target("above_root_encoded", b"/%2e%2e/%2e%2e/a"),
    target("broken_escape", b"/%zz"),
    target("half_escape", b"/a%2"), target("encoded_nul", b"/a%00"),
    target("double_slash", b"//a//b", OK, check=forwarded(target="//a//b")),
    target("encoded_crlf", b"/a%0d%0aX:%20y", (200, 400), check=forwarded(target="/a%0d%0aX:%20y")),
    target("scheme_only", b"http:"), target("scheme_slashes", b"http://"), target("empty_host", b"http:///a"),
    target("empty_host_port", b"http://:80/a"), target("userinfo", b"http://u@a.test/"),
    target("password", b"http://u:p@a.test/"),
    target("comma", b"http://a.test,b.test/"), target("large_port", b"http://a.test:99999/"),
    target("word_port", b"http://a.test:x/"),
    target("negative_port", b"http://a.test:-1/"), target("two_ports", b"http://a.test:80:81/"),
    target("open_bracket", b"http://[::1/"),
    target("bad_ipv6", b"http://[zz]/"), target("space_host", b"http://a test/"),
    target("backslash", b"http://a.test\\@b.test/"),
    target("one_slash", b"http:/a"), target("absolute_fragment", b"http://a.test/#x"),
    target("ftp", b"ftp://a.test/"),
    target("file", b"file:///etc/passwd"), target("javascript", b"javascript:alert(1)"),
    target("high_host", b"http://\xe9.test/"),
    target("https", b"https://a.test/", (200, 400, 421)), target("options_authority", b"a.test:80/x"),
    target("absolute", b"http://b.test:8080/a?b", OK, check=forwarded(target="/a?b", host="b.test:8080")),
    target("absolute_upper", b"HTTP://b.test/", OK, check=forwarded(target="/", host="b.test")),
    target("absolute_no_path", b"http://b.test", OK, check=forwarded(target="/", host="b.test")),
    target("absolute_query_only", b"http://b.test?x", OK, check=forwarded(target="/?x", host="b.test")),
    target("absolute_ipv6", b"http://[::1]:80/x", OK, check=forwarded(target="/x", host="[::1]:80")),
    line("post_asterisk", b"POST * HTTP/1.1"), line("options_asterisk_query", b"OPTIONS *?x HTTP/1.1"),
]

HOSTS = [
    host("none", b"X: 1"), host("empty_value", b"Host:", EITHER), host("two_same", b"Host: a\r\nHost: a"),
    host("two_different", b"Host: a\r\nHost: b"),
    host("two_cases", b"Host: a\r\nhOST: a"), host("second_empty", b"Host: a\r\nHost:"),
    host("first_empty", b"Host:\r\nHost: a"),
    host("two_apart", b"Host: a\r\nX: 1\r\nHost: a"), host("comma", b"Host: a,b"),
    host("comma_space", b"Host: a, b"), host("userinfo", b"Host: u@a"),
    host("password", b"Host: u:p@a"), host("path", b"Host: a/b"), host("slash", b"Host: a/"),
    host("scheme", b"Host: http://a"),
    host("word_port", b"Host: a:b"), host("large_port", b"Host: a:65536"), host("long_port", b"Host: a:000080000"),
    host("negative_port", b"Host: a:-1"),
    host("two_ports", b"Host: a:80:80"), host("plus_port", b"Host: a:+80"), host("hex_port", b"Host: a:0x50"),
    host("space", b"Host: a b"),
    host("tab", b"Host: a\tb"), host("open_bracket", b"Host: [::1"), host("bare_ipv6", b"Host: ::1"),
    host("after_bracket", b"Host: [::1]x"),
    host("empty_brackets", b"Host: []"), host("bad_ipv6", b"Host: [hello]"), host("query", b"Host: a?x"),
    host("fragment", b"Host: a#x"),
    host("backslash", b"Host: a\\b"), host("quote", b'Host: "a"'), host("angle", b"Host: <a>"),
    host("caret", b"Host: a^b"), host("pipe", b"Host: a|b"),
    host("brace", b"Host: {a}"), host("high", b"Host: \xe9.test"), host("nul", b"Host: a\0"),
    host("del", b"Host: a\x7f"),
    host("only_port", b"Host: :80"), host("fold", b"Host: a\r\n b"), host("space_before_colon", b"Host : a"),
    host("broken_escape", b"Host: a%zz", EITHER),
    host("trailing_space", b"Host: a.test \t", OK, check=forwarded(host="a.test")),
    host("empty_port", b"Host: a.test:", OK),
    host("ipv6", b"Host: [::1]:80", OK, check=forwarded(host="[::1]:80")),
    host("upper", b"HOST: A.TEST", OK, check=forwarded(host="A.TEST")),
    host("dots", b"Host: a..b", EITHER), host("trailing_dot", b"Host: a.test.", OK),
    host("long", b"Host: " + b"a" * 300, (200, 400, 431)),
    host("underscore", b"Host: a_b.test", OK),
    host("absolute_two", b"Host: a\r\nHost: b", start=b"GET http://c/ HTTP/1.1"),
    host("absolute_none", b"X: 1", start=b"GET http://c/ HTTP/1.1"),
    host("absolute_bad", b"Host: a/b", start=b"GET http://c/ HTTP/1.1"),
    host("absolute_other", b"Host: evil", OK, start=b"GET http://c.test/ HTTP/1.1", check=forwarded(host="c.test")),
    host("none_in_1_0", b"X: 1", OK, start=b"GET / HTTP/1.0", closes=True),
    host("two_in_1_0", b"Host: a\r\nHost: b", start=b"GET / HTTP/1.0"),
    host("bad_in_1_0", b"Host: a b", start=b"GET / HTTP/1.0"),
]

NOT_TOKEN = [*range(0, 33), *b'"(),/;<=>?@[\\]{}', 0x7f, 0x80, 0xa0, 0xc3, 0xff]
NAMES = [
    *[field(f"name_{code:02x}_inside", b"X%cY: 1" % code) for code in NOT_TOKEN],
    *[field(f"name_{code:02x}_before_colon", b"X%c: 1" % code) for code in (0, 9, 11, 12, 13, 32, 0x7f, 0xa0, 0xff)],
    field("name_empty", b": 1"), field("name_no_colon", b"Foo"), field("name_only_colon", b":"),
    field("name_space_first", b" X: 1"),
    field("name_no_colon_last", b"X: 1\r\nGET /smuggled HTTP/1.1"),
    field("name_256", b"X" * 256 + b": 1", (200, 400, 431)),
    field("name_5000", b"X" * 5000 + b": 1", (200, 400, 431)),
    field("name_token_bytes", b"!#$%&'*+-.^`|~09aZ: 1", OK),
    field("name_underscore", b"X_Y: 1", EITHER, check=lacks("x_y")),
    field("name_content_length", b"Content_Length: 5", EITHER, check=lacks("content_length", "content-length")),
    field("name_transfer_encoding", b"Transfer_Encoding: chunked", EITHER, check=lacks("transfer_encoding", "transfer-encoding")),
    field("name_forwarded_for", b"X_Forwarded_For: 6.6.6.6", EITHER, check=lacks("x_forwarded_for")),
    field("name_two_colons", b"X::1", OK, check=forwarded(x=":1")),
]

VALUES = [
    *[field(f"value_{code:02x}_inside", b"X: a%cb" % code) for code in [*range(0, 9), *range(10, 32), 0x7f]],
    *[field(f"value_{code:02x}_last", b"X: a%c" % code) for code in (0, 11, 13, 27, 127)],
    *[field(f"value_{code:02x}_first", b"X:%ca" % code) for code in (0, 8, 12, 13)],
    field("value_tab_inside", b"X: a\tb", OK, check=forwarded(x="a\tb")),
    field("value_high", b"X: \x80\xff", OK, check=forwarded(x="\x80\xff")),
    field("value_trimmed", b"X: \t  a b \t ", OK, check=forwarded(x="a b")),
    field("value_empty", b"X:", OK, check=forwarded(x="")),
    field("value_blank", b"X: \t ", OK, check=forwarded(x="")), field("fold_space", b"X: a\r\n b"),
    field("fold_tab", b"X: a\r\n\tb"),
    field("fold_empty", b"X:\r\n a"), field("fold_many", b"X: a\r\n b\r\n c"),
    field("fold_hides_field", b"X: a\r\n Transfer-Encoding: chunked"),
]

CONNECTIONS = [
    field("connection_framing", b"Connection: host, x-real-ip, via, transfer-encoding", OK, check=forwarded(host="a.test")),
    field("connection_space", b"Connection: a b", EITHER), field("connection_at", b"Connection: @", EITHER),
    field("connection_commas", b"Connection: ,,,,", OK),
    field("connection_endless_commas", b"Connection: " + b"," * 4000, (200, 400, 431)),
    field("connection_many", b"Connection: " + b"x," * 1500, (200, 400, 431)),
    field("connection_close_upper", b"Connection: CLOSE", OK, closes=True),
    field("connection_close_list", b"Connection: x, close", OK, closes=True),
    field("connection_close_twice", b"Connection: keep-alive\r\nConnection: close", OK, closes=True),
    field("connection_empty", b"Connection:", OK),
    field("expect_other", b"Expect: 200-ok", (417,)), field("expect_list", b"Expect: 100-continue, x", (417,)),
    field("expect_empty", b"Expect:", (200, 400, 417)),
    field("expect_twice", b"Expect: 100-continue\r\nExpect: x", (417,)),
    field("max_forwards_word", b"Max-Forwards: x", EITHER),
    field("max_forwards_huge", b"Max-Forwards: 99999999999999999999", EITHER),
    field("many", b"X: 1\r\n" * 1100 + b"X: 1", (400, 431)),
    field("large", b"X: " + b"v" * 70000, (400, 431)),
    field("large_head", (b"X: " + b"v" * 2000 + b"\r\n") * 40 + b"X: 1", (400, 431)),
    target("long", b"/" + b"a" * 70000, (414, 431)),
    field("websocket", b"Connection: Upgrade\r\nUpgrade: websocket", OK, check=lacks("upgrade", "connection")),
    field("h2c", b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__", OK, check=lacks("upgrade", "http2-settings")),
]

CASES = REQUEST_LINES + LINE_ENDS + METHODS + VERSIONS + TARGETS + HOSTS + NAMES + VALUES + CONNECTIONS

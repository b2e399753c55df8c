# SPDX-License-Identifier: GPL-3.0-or-later
"""
The table of malformed and strange responses (requirements 22, 35, 41, 43, 46, 50 to 52, 60). `raw` is all that the origin sends;
`ends` whether it then closes. Outcomes: a status, or "cut" when the head was good and only the body shows the fault: then the
client must see a truncation, or 502 if nothing had been sent. Only data and its helpers here.
"""

from dataclasses import dataclass

BAD = (502,)
OK = (200,)
EITHER = (200, 502)
CUT = ("cut", 502)


@dataclass
class Reply:
    """method: of the request; body: what the client must get when the outcome is a good one; leak: bytes that must not
    show up anywhere else."""
    name: str
    raw: bytes
    outcomes: tuple
    body: bytes = b"hello"
    ends: bool = False
    method: str = "GET"


def status(name, text, outcomes=BAD, **more):
    return Reply("status_" + name, text + b"\r\nContent-Length: 5\r\n\r\nhello", outcomes, **more)


def field(name, fields, outcomes=BAD, **more):
    return Reply("field_" + name, b"HTTP/1.1 200 OK\r\n" + fields + b"\r\nContent-Length: 5\r\n\r\nhello", outcomes, **more)


def framing(name, fields, outcomes=BAD, tail=b"hello", **more):
    return Reply("framing_" + name, b"HTTP/1.1 200 OK\r\n" + fields + b"\r\n\r\n" + tail, outcomes, **more)


def chunk(name, body, outcomes=CUT, **more):
    return framing("chunk_" + name, b"Transfer-Encoding: chunked", outcomes, body, **more)


STATUS_LINES = [
    status("no_space", b"HTTP/1.1 200OK"), status("two_digits", b"HTTP/1.1 20 OK"),
    status("four_digits", b"HTTP/1.1 2000 OK"), status("word", b"HTTP/1.1 abc OK"),
    status("http_2", b"HTTP/2 200 OK"), status("http_2_0", b"HTTP/2.0 200 OK"),
    status("double_space", b"HTTP/1.1  200 OK"), status("lower", b"http/1.1 200 OK"),
    status("minus", b"HTTP/1.1 -20 OK"),
    status("plus", b"HTTP/1.1 +20 OK"), status("99", b"HTTP/1.1 099 OK"), status("600", b"HTTP/1.1 600 OK"),
    status("000", b"HTTP/1.1 000 OK"), status("icy", b"ICY 200 OK"), status("none", b"200 OK"),
    status("tab", b"HTTP/1.1\t200 OK"), status("tab_after", b"HTTP/1.1 200\tOK"),
    status("leading_space", b" HTTP/1.1 200 OK"), status("nul_reason", b"HTTP/1.1 200 O\0K"),
    status("cr_reason", b"HTTP/1.1 200 O\rK"),
    status("control_reason", b"HTTP/1.1 200 O\x01K"), status("lf_only", b"HTTP/1.1 200 OK\nX: 1"),
    status("no_version", b"HTTP/ 200 OK"), status("1_11", b"HTTP/1.11 200 OK"), status("hex", b"HTTP/1.1 0xc8 OK"),
    status("only_version", b"HTTP/1.1"), status("version_space", b"HTTP/1.1 "),
    status("no_reason", b"HTTP/1.1 200 ", OK), status("no_reason_space", b"HTTP/1.1 200", EITHER),
    status("high_reason", b"HTTP/1.1 200 \xe9", OK),
    status("empty_line_before", b"\r\nHTTP/1.1 200 OK", EITHER), status("request", b"GET / HTTP/1.1"),
    status("html", b"<html><body>hello"), status("tls_alert", b"\x15\x03\x01\x00\x02\x02\x46"),
    status("switching", b"HTTP/1.1 101 Switching Protocols"),
    status("switching_upgrade", b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade"),
    status("long", b"HTTP/1.1 200 " + b"r" * 70000),
    Reply("status_nothing", b"", BAD, ends=True), Reply("status_cut", b"HTTP/1.1 20", BAD, ends=True),
    Reply("status_crlf_only", b"\r\n\r\n", BAD, ends=True),
    Reply("head_cut", b"HTTP/1.1 200 OK\r\nContent-Le", BAD, ends=True),
    Reply("head_not_ended", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n", BAD, ends=True),
    Reply("interim_only", b"HTTP/1.1 103 Early Hints\r\n\r\n", BAD, ends=True),
    Reply("interim_bad", b"HTTP/1.1 103 Early Hints\r\n X: 1\r\n\r\n", BAD, ends=True),
    Reply("garbage", bytes(range(128, 256)) * 4 + b"\r\n\r\n", BAD), Reply("ssh", b"SSH-2.0-x\r\n", BAD, ends=True),
]

FIELDS = [
    field("no_colon", b"Foo"), field("empty_name", b": 1"), field("nul_name", b"X\0: 1"),
    field("nul_value", b"X: \0"), field("cr_value", b"X: a\rb"), field("lf_value", b"X: a\nSet-Cookie: evil=1"),
    field("control", b"X: a\x01"),
    field("del", b"X: \x7f"), field("fold", b"X: a\r\n b"), field("fold_first", b" X: a"),
    field("bad_name", b"X(Y: 1"), field("space_in_name", b"X Y: 1"), field("high_name", b"X\xe9: 1"),
    field("many", b"X: 1\r\n" * 1500 + b"X: 1"),
    field("long", b"X: " + b"v" * 100000), field("endless", b"X: " + b"v" * 300000),
    field("space_before_colon", b"X : 1", OK), field("high_value", b"X: \xe9", OK), field("empty_value", b"X:", OK),
    Reply("field_lf_end", b"HTTP/1.1 200 OK\r\nContent-Length: 5\n\r\nhello", EITHER),
    Reply("field_last_lf", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\nhello", EITHER),
    Reply("field_cr_lf_cr", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\rX", BAD, ends=True),
]

FRAMINGS = [
    framing("good", b"Content-Length: 5", OK), *[framing(f"length_{name}", b"Content-Length:" + value) for name, value in (
        ("empty", b""), ("plus", b" +5"), ("minus", b" -5"), ("hex", b" 0x5"), ("underscore", b" 5_0"),
        ("inner_space", b" 5 5"), ("letter", b" 5a"), ("point", b" 5.0"), ("list_different", b" 5, 6"),
        ("comma", b" 5,"),
        ("over_64_bits", b" 18446744073709551621"), ("word", b" five"), ("quoted", b' "5"'), ("huge", b" " + b"9" * 50), ("nul", b" 5\0"), ("vertical_tab", b" \x0b5"), ("semicolon", b" 5;"), ("high", b" 5\xa0"))],
    framing("two_different", b"Content-Length: 5\r\nContent-Length: 6"),
    framing("two_same", b"Content-Length: 5\r\nContent-Length: 5", EITHER),
    framing("list_same", b"Content-Length: 5, 5", EITHER),
    framing("length_and_chunked", b"Content-Length: 5\r\nTransfer-Encoding: chunked", EITHER, b"5\r\nhello\r\n0\r\n\r\n"),
    framing("chunked_and_length", b"Transfer-Encoding: chunked\r\nContent-Length: 3", EITHER, b"5\r\nhello\r\n0\r\n\r\n"),
    framing("chunked_twice", b"Transfer-Encoding: chunked, chunked", tail=b"5\r\nhello\r\n0\r\n\r\n"),
    framing("chunked_parameter", b"Transfer-Encoding: chunked;a", EITHER, b"5\r\nhello\r\n0\r\n\r\n", body=None, ends=True),
    framing("gzip_only", b"Transfer-Encoding: gzip", ends=True),
    framing("unknown_first", b"Transfer-Encoding: gzip, chunked", EITHER, b"5\r\nhello\r\n0\r\n\r\n", body=None),
    framing("chunked_first", b"Transfer-Encoding: chunked, gzip", ends=True),
    framing("empty_coding", b"Transfer-Encoding:", EITHER, body=None, ends=True),
    Reply("framing_chunked_1_0", b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", EITHER, body=None, ends=True),
    framing("short_length", b"Content-Length: 6", CUT, ends=True),
    framing("no_body", b"Content-Length: 5", CUT, b"", ends=True),
    framing("long_body", b"Content-Length: 5", OK, b"helloGARBAGE"),
    framing("second_response", b"Content-Length: 5", OK, b"helloHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nleaked"),
    framing("garbage_after_chunked", b"Transfer-Encoding: chunked", OK, b"5\r\nhello\r\n0\r\n\r\nleaked"),
    framing("body_of_head", b"Content-Length: 5", OK, b"hello", method="HEAD", body=b""),
    framing("chunked_of_head", b"Transfer-Encoding: chunked", OK, b"5\r\nhello\r\n0\r\n\r\n", method="HEAD", body=b""),
    Reply("framing_body_of_204", b"HTTP/1.1 204 No Content\r\nContent-Length: 6\r\n\r\nleaked", (204, 502), body=b""),
    Reply("framing_chunks_of_204", b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nleaked\r\n0\r\n\r\n", (204, 502), body=b""),
    Reply("framing_body_of_304", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 6\r\n\r\nleaked", (304,), body=b""),
    Reply("framing_length_in_100", b"HTTP/1.1 100 Continue\r\nContent-Length: 6\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", EITHER),
]

CHUNKS = [
    chunk("good", b"5\r\nhello\r\n0\r\n\r\n", OK), chunk("cut_line", b"5\r\nhello\r\n", ends=True),
    chunk("cut_data", b"9\r\nhello", ends=True), chunk("cut_size", b"5", ends=True),
    chunk("nothing", b"", ends=True),
    chunk("no_last_line", b"5\r\nhello\r\n0\r\n", ends=True), chunk("minus", b"-5\r\nhello\r\n0\r\n\r\n"),
    chunk("plus", b"+5\r\nhello\r\n0\r\n\r\n"), chunk("hex", b"0x5\r\nhello\r\n0\r\n\r\n"),
    chunk("letter", b"z\r\nhello\r\n0\r\n\r\n"),
    chunk("empty", b"\r\nhello\r\n0\r\n\r\n"), chunk("17_digits", b"10000000000000005\r\nhello\r\n0\r\n\r\n"),
    chunk("space_first", b" 5\r\nhello\r\n0\r\n\r\n"), chunk("underscore", b"5_\r\nhello\r\n0\r\n\r\n"),
    chunk("lf", b"5\nhello\n0\n\n"),
    chunk("data_lf", b"5\r\nhello\n0\r\n\r\n"), chunk("no_crlf", b"5\r\nhello0\r\n\r\n"),
    chunk("long_data", b"5\r\nhelloXX\r\n0\r\n\r\n"), chunk("extension_nul", b"5;\0\r\nhello\r\n0\r\n\r\n"),
    chunk("extension_cr", b"5;a\rb\r\nhello\r\n0\r\n\r\n"),
    chunk("second_bad", b"5\r\nhello\r\nXYZ\r\nhello\r\n0\r\n\r\n"),
    chunk("trailer_bad", b"5\r\nhello\r\n0\r\nFoo\r\n\r\n"),
    chunk("trailer_nul", b"5\r\nhello\r\n0\r\nX: \0\r\n\r\n"),
    chunk("trailer_large", b"5\r\nhello\r\n0\r\nX: " + b"v" * 300000),
    chunk("trailer_good", b"5\r\nhello\r\n0\r\nX: 1\r\n\r\n", OK),
    chunk("extension_good", b'5;a="b"\r\nhello\r\n0;c\r\n\r\n', OK),
    chunk("over_4_gib", b"100000005\r\nhello\r\n0\r\n\r\n", ends=True),
]

CASES = STATUS_LINES + FIELDS + FRAMINGS + CHUNKS

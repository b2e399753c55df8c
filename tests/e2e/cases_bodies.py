# SPDX-License-Identifier: GPL-3.0-or-later
"""
The table of malformed and strange framing of request bodies: Content-Length, Transfer-Encoding, chunks, extensions, trailers
(requirements 39 to 50). Same form as cases_heads.py; only data and its helpers here.
"""

from cases_heads import BAD, EITHER, OK, Case, lacks

HELLO = b"5\r\nhello\r\n0\r\n\r\n"
CODED = BAD + (501,)


def length(name, fields, statuses=BAD, body=b"hello", **more):
    """Five bytes behind a Content-Length of some kind."""
    return Case("length_" + name, b"POST /l HTTP/1.1\r\nHost: a\r\n" + fields + b"\r\n\r\n" + b"hello", statuses, body, **more)


def coding(name, fields, statuses=CODED, start=b"POST /t HTTP/1.1", tail=HELLO, **more):
    """A chunked "hello" behind a Transfer-Encoding of some kind."""
    return Case("coding_" + name, start + b"\r\nHost: a\r\n" + fields + b"\r\n\r\n" + tail, statuses, b"hello", **more)


def chunk(name, body, statuses=BAD, expected=b"hello", **more):
    """A chunked body of some kind; its head is good, so the origin may see the beginning."""
    head = b"POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    return Case("chunk_" + name, head + body, statuses, expected, partial=True, **more)


def size(name, text, statuses=BAD, **more):
    """The first chunk's size line is `text`."""
    return chunk("size_" + name, text + b"\r\nhello\r\n0\r\n\r\n", statuses, **more)


def extension(name, text, statuses=BAD, **more):
    return chunk("extension_" + name, b"5" + text + b"\r\nhello\r\n0\r\n\r\n", statuses, **more)


def trailer(name, text, statuses=BAD, **more):
    """`text` stands between the last chunk's line and the final empty line."""
    return chunk("trailer_" + name, b"5\r\nhello\r\n0\r\n" + text + b"\r\n\r\n", statuses, **more)


LENGTHS = [
    length("good", b"Content-Length: 5", OK), length("upper", b"CONTENT-LENGTH: 5", OK),
    length("tab_around", b"Content-Length:\t5\t", OK),
    length("empty", b"Content-Length:"), length("blank", b"Content-Length:  "),
    length("plus", b"Content-Length: +5"),
    length("minus", b"Content-Length: -5"), length("minus_zero", b"Content-Length: -0"),
    length("hex", b"Content-Length: 0x5"),
    length("octal", b"Content-Length: 0o5"), length("underscore", b"Content-Length: 5_0"),
    length("inner_space", b"Content-Length: 5 5"),
    length("letter", b"Content-Length: 5a"), length("hex_digit", b"Content-Length: a"),
    length("point", b"Content-Length: 5.0"),
    length("exponent", b"Content-Length: 1e1"), length("semicolon", b"Content-Length: 5;x"),
    length("quoted", b'Content-Length: "5"'),
    length("word", b"Content-Length: five"), length("high", b"Content-Length: \xd9\xa5"),
    length("high_2", b"Content-Length: 5\xa0"),
    length("vertical_tab", b"Content-Length: \x0b5"), length("form_feed", b"Content-Length: 5\x0c"),
    length("nul", b"Content-Length: 5\0"),
    length("cr", b"Content-Length: 5\r"), length("bare_lf", b"Content-Length: 5\nX: 1"),
    length("fold", b"Content-Length: 5\r\n 6"),
    length("fold_first", b"Content-Length:\r\n 5"), length("space_before_colon", b"Content-Length : 5"),
    length("tab_before_colon", b"Content-Length\t: 5"),
    length("nul_in_name", b"Content-Length\0: 5"), length("leading_zero", b"Content-Length: 05", EITHER),
    length("many_zeros", b"Content-Length: " + b"0" * 40 + b"5", EITHER),
    length("list_same", b"Content-Length: 5, 5", EITHER), length("list_different", b"Content-Length: 5, 6"),
    length("list_trailing", b"Content-Length: 5,"),
    length("list_leading", b"Content-Length: ,5"), length("list_three", b"Content-Length: 5, 5, 0"),
    length("twice_same", b"Content-Length: 5\r\nContent-Length: 5", EITHER),
    length("twice_different", b"Content-Length: 5\r\nContent-Length: 0"),
    length("twice_apart", b"Content-Length: 0\r\nX: 1\r\nContent-Length: 5"),
    length("twice_empty", b"Content-Length: 5\r\nContent-Length:"),
    length("twice_case", b"Content-Length: 5\r\ncontent-length: 6"),
    length("twice_zero_form", b"Content-Length: 5\r\nContent-Length: 05"),
    length("over_64_bits", b"Content-Length: 18446744073709551616", (400, 413)),
    length("wraps_to_5", b"Content-Length: 18446744073709551621", (400, 413)),
    length("wraps_32_bits", b"Content-Length: 4294967301", (400, 413)),
    length("signed_64", b"Content-Length: 9223372036854775813", (400, 413)),
    length("huge", b"Content-Length: " + b"9" * 60, (400, 413)),
    length("too_large", b"Content-Length: 1048577", (413,)),
    length("named_in_connection", b"Connection: content-length\r\nContent-Length: 5", EITHER),
    length("arabic_word", "Content-Length: ٥".encode()), length("bom", b"Content-Length: \xef\xbb\xbf5"),
    length("slash", b"Content-Length: 5/5"),
    Case("length_on_get", b"GET /g HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", EITHER, b"hello"),
    Case("length_on_delete", b"DELETE /g HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", EITHER, b"hello"),
    Case("length_on_options", b"OPTIONS /g HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", EITHER, b"hello"),
    Case("length_on_head", b"HEAD /g HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", EITHER, b"hello", method="HEAD"),
    Case("length_post_without", b"POST /g HTTP/1.1\r\nHost: a\r\n\r\n", (200, 411)),
    Case("length_in_1_0", b"POST /g HTTP/1.0\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", OK, b"hello", closes=True),
    Case("length_smuggles_get", b"GET /g HTTP/1.1\r\nHost: a\r\nContent-Length: 42\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: smuggled.a\r\n", EITHER,
         b"GET /smuggled HTTP/1.1\r\nHost: smuggled.a\r\n"),
]

CODINGS = [
    coding("good", b"Transfer-Encoding: chunked", OK), coding("case", b"tRANSFER-eNCODING: cHUNKED", OK),
    coding("tab", b"Transfer-Encoding:\tchunked\t", OK),
    coding("no_space", b"Transfer-Encoding:chunked", OK),
    coding("twice_in_list", b"Transfer-Encoding: chunked, chunked"), coding("empty", b"Transfer-Encoding:"),
    coding("twice_in_lines", b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"),
    coding("parameter", b"Transfer-Encoding: chunked;q=1"),
    coding("parameter_space", b"Transfer-Encoding: chunked ; a"), coding("prefix", b"Transfer-Encoding: xchunked"),
    coding("suffix", b"Transfer-Encoding: chunkedx"),
    coding("inner_space", b"Transfer-Encoding: chun ked"),
    coding("gzip_first", b"Transfer-Encoding: gzip, chunked"),
    coding("gzip_last", b"Transfer-Encoding: chunked, gzip"),
    coding("gzip_only", b"Transfer-Encoding: gzip"), coding("identity", b"Transfer-Encoding: identity"),
    coding("identity_first", b"Transfer-Encoding: identity, chunked"),
    coding("identity_last", b"Transfer-Encoding: chunked, identity"),
    coding("comma_first", b"Transfer-Encoding: , chunked", (200, 400, 501)),
    coding("comma_last", b"Transfer-Encoding: chunked,", (200, 400, 501)),
    coding("commas", b"Transfer-Encoding: ,,,"), coding("blank", b"Transfer-Encoding: "),
    coding("split_lines", b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked"),
    coding("split_other", b"Transfer-Encoding: chunked\r\nTransfer-Encoding: cow"),
    coding("split_identity", b"Transfer-Encoding: chunked\r\nX: 1\r\ntransfer-encoding: identity"),
    coding("split_empty", b"Transfer-Encoding: chunked\r\nTransfer-Encoding:", (200, 400, 501)),
    coding("vertical_tab", b"Transfer-Encoding: \x0bchunked"),
    coding("form_feed", b"Transfer-Encoding: chunked\x0c"), coding("nul", b"Transfer-Encoding: chunked\0"),
    coding("high", b"Transfer-Encoding: chunked\xa0"), coding("quoted", b'Transfer-Encoding: "chunked"'),
    coding("single_quoted", b"Transfer-Encoding: 'chunked'"),
    coding("fold", b"Transfer-Encoding:\r\n chunked"),
    coding("fold_after", b"Transfer-Encoding: chunked\r\n , gzip"),
    coding("space_before_colon", b"Transfer-Encoding : chunked"),
    coding("tab_before_colon", b"Transfer-Encoding\t: chunked"),
    coding("nul_in_name", b"Transfer-Encoding\0: chunked"), coding("bare_cr", b"Transfer-Encoding: chunked\r"),
    coding("bare_lf_before", b"X: 1\nTransfer-Encoding: chunked"), coding("underscore", b"Transfer_Encoding: chunked\r\nContent-Length: 5",
                                                                             (200, 400), tail=b"hello", check=lacks("transfer_encoding")),
    coding("kelvin", "Transfer-Encoding: chun\u212aed".encode()),
    coding("two_words", b"Transfer-Encoding: chunked chunked"), coding("colon", b"Transfer-Encoding: : chunked"),
    coding("semicolon", b"Transfer-Encoding: ;chunked"),
    coding("named_in_connection", b"Connection: transfer-encoding\r\nTransfer-Encoding: chunked", EITHER),
    coding("with_length", b"Content-Length: 5\r\nTransfer-Encoding: chunked", EITHER, closes=True),
    coding("with_length_after", b"Transfer-Encoding: chunked\r\nContent-Length: 5", EITHER, closes=True),
    coding("with_length_zero", b"Content-Length: 0\r\nTransfer-Encoding: chunked", EITHER, closes=True),
    coding("with_length_whole", b"Content-Length: 15\r\nTransfer-Encoding: chunked", EITHER, closes=True),
    coding("with_bad_length", b"Content-Length: x\r\nTransfer-Encoding: chunked"),
    coding("unknown_with_length", b"Content-Length: 5\r\nTransfer-Encoding: cow", tail=b"hello"),
    coding("identity_with_length", b"Content-Length: 5\r\nTransfer-Encoding: identity", tail=b"hello"),
    coding("hidden_by_bad_name_with_length", b"Content-Length: 5\r\n Transfer-Encoding: chunked"),
    coding("in_1_0", b"Transfer-Encoding: chunked", start=b"POST /t HTTP/1.0"),
    coding("in_1_0_with_length", b"Content-Length: 5\r\nTransfer-Encoding: chunked", start=b"POST /t HTTP/1.0"),
    coding("in_1_0_keep_alive", b"Connection: keep-alive\r\nTransfer-Encoding: chunked", start=b"POST /t HTTP/1.0"),
    coding("on_get", b"Transfer-Encoding: chunked", EITHER, start=b"GET /t HTTP/1.1"),
    coding("on_head", b"Transfer-Encoding: chunked", EITHER, start=b"HEAD /t HTTP/1.1", method="HEAD"),
    coding("long", b"Transfer-Encoding: " + b"x" * 500 + b", chunked"),
    coding("many", b"Transfer-Encoding: " + b"chunked, " * 100 + b"chunked"),
    coding("content_encoding_is_another", b"Content-Encoding: chunked\r\nTransfer-Encoding: chunked", OK),
]

SIZES = [
    size("good", b"5", OK), size("leading_zeros", b"0000000000000005", OK),
    size("many_zeros", b"0" * 30 + b"5", EITHER), size("empty", b""), size("plus", b"+5"), size("minus", b"-5"),
    size("hex", b"0x5"), size("hex_upper", b"0X5"), size("underscore", b"5_"), size("underscore_first", b"_5"),
    size("space_first", b" 5"), size("space_last", b"5 ", EITHER),
    size("tab_first", b"\t5"), size("tab_last", b"5\t", EITHER), size("letter", b"g"), size("h_suffix", b"5h"),
    size("comma", b"5,"), size("point", b"5.0"), size("quoted", b'"5"'),
    size("two", b"5 5"), size("nul", b"5\0"), size("nul_first", b"\x005"), size("vertical_tab", b"\x0b5"),
    size("high", b"5\xa0"), size("cr", b"5\r"), size("bare_lf", b"5\nhello\r\n0"),
    size("17_digits", b"10000000000000005"), size("17_f", b"f" * 17), size("16_f", b"f" * 16, (400, 413)),
    size("sign_bit", b"8000000000000005", (400, 413)),
    size("over_4_gib", b"100000005", (400, 413)), size("int_max", b"7fffffffffffffff", (400, 413)),
    size("long", b"5" * 500), size("equals", b"5=5"), size("colon", b"5:"),
    size("too_large_for_limit", b"100001", (413,)), size("brace", b"{5}"), size("full_width", "５".encode()),
]

EXTENSIONS = [
    extension("name", b";a", OK), extension("value", b";a=b", OK), extension("quoted", b';a="b c;d"', OK),
    extension("escaped", b';a="b\\"c"', OK), extension("two", b";a;b=c", OK),
    extension("bws", b" ; a = b", EITHER), extension("space_after", b"; a", EITHER), extension("bare", b";"),
    extension("two_bare", b";;"), extension("trailing", b";a;"),
    extension("no_name", b";=b"), extension("no_value", b";a="), extension("nul", b";a\0b"),
    extension("cr", b";a\rb"), extension("cr_end", b";a\r"), extension("lf", b";a\nb"),
    extension("quoted_crlf", b';a="b\r\nc"'), extension("quoted_lf", b';a="b\nc"'),
    extension("quoted_nul", b';a="\0"'), extension("unclosed", b';a="b'), extension("control", b";a\x01"),
    extension("del", b";a\x7f"), extension("high", b";a\xff"), extension("no_semicolon", b" a"),
    extension("long", b";" + b"a" * 20000, (400, 413, 431)),
    extension("hides_chunk", b";a\n0\r\n\r\nGET /smuggled HTTP/1.1"), extension("comma", b",a"),
    extension("slash", b";a/b"),
    chunk("extension_many", (b"1;" + b"a" * 200 + b"\r\nx\r\n") * 100 + b"0\r\n\r\n", (400, 413, 431)),
    chunk("extension_last", b"5\r\nhello\r\n0;a=b\r\n\r\n", OK),
    chunk("extension_last_bad", b"5\r\nhello\r\n0;\0\r\n\r\n"),
]

ENDS = [
    chunk("end_missing", b"5\r\nhello0\r\n\r\n"), chunk("end_lf", b"5\r\nhello\n0\r\n\r\n"),
    chunk("end_cr", b"5\r\nhello\r0\r\n\r\n"), chunk("end_other", b"5\r\nhelloXX0\r\n\r\n"),
    chunk("end_cr_other", b"5\r\nhello\rX0\r\n\r\n"), chunk("end_long_data", b"5\r\nhello!\r\n0\r\n\r\n"),
    chunk("end_short_data", b"6\r\nhello\r\n0\r\n\r\n"), chunk("end_two_crlf", b"5\r\nhello\r\n\r\n0\r\n\r\n"),
    chunk("last_lf", b"5\r\nhello\r\n0\n\r\n"), chunk("last_lf_2", b"5\r\nhello\r\n0\r\n\n"),
    chunk("last_both_lf", b"5\r\nhello\r\n0\n\n"), chunk("last_cr", b"5\r\nhello\r\n0\r\r\n\r\n"),
    chunk("last_minus", b"5\r\nhello\r\n-0\r\n\r\n"), chunk("last_hex", b"5\r\nhello\r\n0x0\r\n\r\n"),
    chunk("last_space", b"5\r\nhello\r\n0 \r\n\r\n", EITHER), chunk("last_zeros", b"5\r\nhello\r\n000\r\n\r\n", OK),
    chunk("last_empty", b"5\r\nhello\r\n\r\n"), chunk("all_lf", b"5\nhello\n0\n\n"),
    chunk("only_last", b"0\r\n\r\n", OK, expected=b""), chunk("two", b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", OK),
    chunk("smuggle_in_data", b"2a\r\nGET /smuggled HTTP/1.1\r\nHost: smuggled.a\r\n\r\n0\r\n\r\n", OK, expected=b"GET /smuggled HTTP/1.1\r\nHost: smuggled.a\r\n"),
]

TRAILERS = [
    trailer("one", b"X: 1", OK), trailer("two", b"X: 1\r\nY: 2", OK),
    trailer("framing", b"Content-Length: 3\r\nTransfer-Encoding: gzip", EITHER),
    trailer("host", b"Host: evil", EITHER),
    trailer("authorization", b"Authorization: Basic x", EITHER, check=lacks("authorization")),
    trailer("no_colon", b"Foo"), trailer("space_before_colon", b"X : 1"), trailer("fold", b"X: 1\r\n 2"),
    trailer("space_first", b" X: 1"), trailer("nul", b"X: \0"), trailer("nul_name", b"X\0: 1"),
    trailer("cr", b"X: 1\r2"), trailer("lf", b"X: 1\nY: 2"), trailer("lf_end", b"X: 1\n"),
    trailer("empty_name", b": 1"),
    trailer("bad_name", b"X(: 1"), trailer("control", b"X: \x01"),
    trailer("large", b"X: " + b"v" * 70000, (400, 413, 431)),
    trailer("many", b"X: 1\r\n" * 1100 + b"X: 1", (400, 413, 431)), trailer("request", b"GET /smuggled HTTP/1.1"),
]

CASES = LENGTHS + CODINGS + SIZES + EXTENSIONS + ENDS + TRAILERS

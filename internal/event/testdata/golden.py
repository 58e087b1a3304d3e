#!/usr/bin/env python3
"""The old consumer's line, made by Python 3 itself.

    python3 golden.py > classic.jsonl    the golden file beside this script
    python3 golden.py repr               numbers on stdin, one a line, as print shows them

Each line of the golden file is one record: offset, key and value (base64; key
may be null) as they come from the topic, then bucket and the printed line.
"""
import base64
import json
import random
import sys


def consume(offset, key, value):
    """What the old consumer did with a record."""
    event = json.loads(value.decode("utf-8"))
    price = event["price"]
    bucket = "low" if price < 50 else "medium" if price < 200 else "high"
    key = key.decode("utf-8", errors="replace") if key is not None else None
    line = f"offset={offset} key={key} bucket={bucket} event_id={event['event_id']} price={price}"
    return bucket, line


ID = "a89e1e3d-4905-4fe9-aa26-053b505efd8d"

PRICES = """
35.32 264.6 50.0 50 49 49.99 49.999 50.00 50.01 199.99 200 200.0 199 0 0.0 -0 -0.0 -0e5 0e0 0.00 1 1.0 1.10
0.1 0.10 0.5 5e-1 5E-1 5e+1 5E+1 5e1 50e0 0.05e3 1e2 2e2 1.99e2 1e-05 1e-5 0.0001 0.00001 0.00012345 1.5e-07
1e15 1e16 1e+16 1e17 123456789012345680.0 9999999999999998.0 9999999999999999.0 999999999999999.9 1e22 1e23
12345678901234567890 100000000000000000000000000000000000000000000000000 9007199254740993 9007199254740993.0
18446744073709551616 1.7976931348623157e308 1e308 1e-308 2.2250738585072014e-308 5e-324 4.9e-324 2e-324 1e-400
0.1e-400 -0.0000 0.30000000000000004 0.1000000000000000055511151231257827 2.675 1.005 4.35 8.41
49.99999999999999 49.999999999999993 49.999999999999996 49.9999999999999964 49.9999999999999965 49.99999999999999999999
199.99999999999997 199.99999999999998 199.99999999999999 199.999999999999985789 199.999999999999985790
50.000000000000001 50.00000000000001 200.00000000000001 200.00000000000003 9e15 9.5e15 123456.789e3
1234567890.1234567 0.000123 123e-7 100e-7 3.14159265358979323846 1e1 1e0 10e-1 12e-1 1e5 1.0e5 100000 99999999999999999
""".split()
PRICES += ["9" * 30, "1" + "0" * 308, "1" + "0" * 400, "7" * 4300, "0." + "0" * 400 + "1", "1" + "0" * 20 + ".5", "0." + "3" * 100, "1" * 50 + "e-48"]

KEYS = [
    None, b"", b"k", b"None", b"user 7", b"user-\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", b"\xef\xbb\xbfbom", b"a\x00b", b"line\nbreak",
    b"\xff", b"\xff\xfe", b"\x80\x80a", b"\xc3", b"\xc3(", b"\xe2\x82", b"\xe2\x82a", b"\xe2(\xa1", b"\xf0\x9f\x98", b"\xf0\x9f\x98a",
    b"\xf0(\x8c\xbc", b"\xed\xa0\x80", b"\xed\xbf\xbf", b"\xc0\xaf", b"\xe0\x80\xaf", b"\xf4\x90\x80\x80", b"\xf8\x88\x80\x80\x80",
    b"\xf0\x80\x80\x80", b"ok\xe2\x82\xacok\xe2\x82",
]

VALUES = [
    '{"event_id":"%s","timestamp":"2026-11-22T10:00:00.000250Z","product":"Kettle","category":"kitchen","currency":"EUR",'
    '"user_id":"u-1","type":"purchase","price":35.32,"quantity":1}' % ID,
    ' \t\r\n{ "price" : 264.6 , "event_id" : "%s" } \r\n' % ID,
    '{"price":1,"price":2,"event_id":"first","event_id":"last"}',
    '{"price":"text","event_id":null,"price":2.50,"event_id":"last one counts"}',
    '{"pr\\u0069ce":7,"event\\u005fid":"escaped keys"}',
    '{"Price":300,"price":7,"EVENT_ID":"no","event_id":"case matters"}',
    '{"event_id":"","price":7}',
    '{"event_id":"tab\\tquote\\"back\\\\slash\\/ \\b\\f\\n\\r","price":7}',
    '{"event_id":"\\u0000\\u001f\\u007f\\u0080\\u00e4\\u20ac","price":7}',
    '{"event_id":"\\ud83d\\ude00 \\uD83D\\uDE00","price":7}',
    '{"event_id":"\u00e4 \u20ac \U0001f600 \u2028","price":7}',
    '{"event_id":42,"price":7}',
    '{"event_id":-0,"price":7}',
    '{"event_id":1.50,"price":7}',
    '{"event_id":1e16,"price":7}',
    '{"event_id":12345678901234567890123,"price":7}',
    '{"nested":{"price":1,"event_id":"inner"},"list":[{"price":3},[],{}],"event_id":"outer","price":8,"t":true,"f":false,"n":null}',
    '{"event_id":"x","price":9,"deep":' + "[" * 500 + "]" * 500 + "}",
    '{"event_id":"long","price":9,"blob":"' + "x" * 5000 + '"}',
]


def records():
    for price in PRICES:
        yield None, '{"event_id":"%s","price":%s}' % (ID, price)
    for key in KEYS:
        yield key, '{"event_id":"%s","price":35.32}' % ID
    for value in VALUES:
        yield None, value
    rng = random.Random(1)
    for _ in range(300):
        yield None, '{"event_id":"%s","price":%s}' % (ID, number(rng))


def number(rng):
    """A JSON number of any shape, with a leaning towards the thresholds."""
    kind = rng.randrange(5)
    if kind == 0:
        return "%.2f" % rng.uniform(0, 400)
    if kind == 1:
        return repr(rng.choice([50, 200]) * (1 + rng.choice([-1, 1]) * 10 ** -rng.uniform(13, 17)))
    if kind == 2:
        return "%d.%de%d" % (rng.randrange(10), rng.randrange(10 ** rng.randrange(1, 20)), rng.randrange(-330, 300))
    if kind == 3:
        return str(rng.randrange(10 ** rng.randrange(1, 40)))
    return "%de%d" % (rng.randrange(10 ** rng.randrange(1, 20)), rng.randrange(-30, 30))


def main():
    if sys.argv[1:] == ["repr"]:
        for text in sys.stdin:
            print(json.loads(text))
        return
    for i, (key, value) in enumerate(records()):
        offset = [0, 19148, 9223372036854775807][i % 3] if i < 3 else i
        value = value.encode("utf-8")
        bucket, line = consume(offset, key, value)
        encode = lambda b: None if b is None else base64.b64encode(b).decode()
        print(json.dumps({"offset": offset, "key": encode(key), "value": encode(value), "bucket": bucket, "line": line}))


if __name__ == "__main__":
    main()

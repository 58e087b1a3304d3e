"""Recomputes from a log what eventgen's answer key says of it, with nothing but Python's library.

usage: judge.py LOG KEY      prints what differs, a line each; nothing if all is right
       judge.py --fit LOG    prints the slope of Zipf's law and the price quantiles, as JSON
"""
import collections
import datetime
import hashlib
import json
import math
import sys
from decimal import Decimal


def reject(_):
    raise ValueError("not JSON")


def event(line):
    """The timestamp and price of a valid line, else None."""
    try:
        e = json.loads(line.decode("utf-8", errors="strict"), parse_float=Decimal, parse_int=Decimal, parse_constant=reject)
    except ValueError:
        return None
    if not isinstance(e, dict) or not isinstance(e.get("event_id"), str):
        return None
    price = e.get("price")
    if not isinstance(price, Decimal) or price < 0:
        return None
    return datetime.datetime.fromisoformat(e["timestamp"].replace("Z", "+00:00")), price


def nearest_rank(prices, percent):
    return prices[-(-len(prices) * percent // 100) - 1]


def bucket(price):
    return "low" if price < 50 else "medium" if price < 200 else "high"


def judge(log, key):
    text = open(log, "rb").read()
    key = json.load(open(key, encoding="utf-8"), parse_float=Decimal)
    differences = []

    def same(what, got, want):
        if got != want:
            differences.append(f"{what}: the key says {want}, the log {got}")

    lines = text.split(b"\n")
    same("text behind the last line", lines.pop(), b"")
    windows = collections.defaultdict(list)
    valid = 0
    for line in lines:
        e = event(line)
        if e is None:
            continue
        valid += 1
        start = e[0].replace(second=0, microsecond=0)
        windows[start.strftime("%Y-%m-%dT%H:%M:%SZ"), bucket(e[1])].append(e[1])
    same("lines", len(lines), key["lines"])
    same("valid", valid, key["valid"])
    same("bytes", len(text), key["bytes"])
    same("chain", hashlib.sha256(text).hexdigest(), key["chain"])
    said = {(w["window_start"], w["bucket"]): w for w in key["windows"]}
    same("windows", sorted(windows), sorted(said))
    for name, prices in windows.items():
        w = said.get(name)
        if w is None:
            continue
        prices.sort()
        got = {
            "count": len(prices), "sum": sum(prices), "min": prices[0], "max": prices[-1],
            "p50": nearest_rank(prices, 50), "p95": nearest_rank(prices, 95), "p99": nearest_rank(prices, 99),
        }
        for field, value in got.items():
            same(f"{name} {field}", value, w[field])
    ids = collections.Counter()
    for line in lines:
        ids[line[13:49].decode("ascii", "replace")] += 1
    for kind, defect in key["defects"].items():
        same(f"{kind} count", len(defect["event_ids"]), defect["count"])
        for i in defect["event_ids"]:
            if ids[i] == 0 and kind not in ("invalid_json", "duplicate"):  # cut short
                differences.append(f"{kind}: event {i} is not in the log")
    print("\n".join(differences))


def fit(log):
    views, prices = collections.Counter(), collections.defaultdict(set)
    for line in open(log, encoding="utf-8"):
        e = json.loads(line)
        if e["type"] == "view":
            views[e["product"], e["category"]] += 1
        prices[e["category"]].add((e["product"], e["price"]))
    # Least squares of log(count) over log(rank), of ranks whose counts are not noise.
    points = [(math.log(r + 1), math.log(n)) for r, (_, n) in enumerate(views.most_common(100))]
    mx, my = sum(x for x, _ in points) / len(points), sum(y for _, y in points) / len(points)
    slope = sum((x - mx) * (y - my) for x, y in points) / sum((x - mx) ** 2 for x, _ in points)
    quantiles = {}
    for category, pairs in prices.items():
        of = sorted(p for _, p in pairs)
        quantiles[category] = [of[len(of) // 10], of[len(of) // 2], of[len(of) * 9 // 10]]
    print(json.dumps({"slope": -slope, "quantiles": quantiles}))


if sys.argv[1] == "--fit":
    fit(sys.argv[2])
else:
    judge(sys.argv[1], sys.argv[2])

#!/usr/bin/env python3
"""Measures changes of articles on two running servers that share a database, and what they cost the requests beside
them. Loopback only; needs nothing but Python.

    scripts/articles.py --url http://127.0.0.1:8080 --admin http://127.0.0.1:8081 --key KEY \
        --replica http://127.0.0.1:8090 --customers customers.csv [--new 50000] [--seconds 15]

Prints one JSON object a line:
* `steady`: requests alone;
* `one article`: how long a change takes until the admin answer, until this server serves it, and until the replica does;
  and the requests beside a change every 100 ms;
* `new articles`: the requests with so many articles that the model does not know.
`took_us` is the server's own time of a request, `client_us` that of the client.
"""
import argparse
import http.client
import json
import random
import statistics
import threading
import time
import urllib.parse


class Server:
    """One keep-alive connection; not for several threads."""

    def __init__(self, url, key=None):
        address = urllib.parse.urlsplit(url)
        if address.hostname not in ("127.0.0.1", "localhost", "::1"):
            raise SystemExit(f"{url} is not on this machine: this script only loads the machine it runs on")
        self.connection = http.client.HTTPConnection(address.hostname, address.port, timeout=300)
        self.headers = {"content-type": "application/json"}
        if key:
            self.headers["authorization"] = f"Bearer {key}"

    def ask(self, method, path, body=None):
        data = json.dumps(body).encode() if body is not None else None
        self.connection.request(method, path, data, self.headers)
        response = self.connection.getresponse()
        answer = response.read()
        if response.status >= 300:
            raise SystemExit(f"{method} {path}: {response.status} {answer[:500].decode(errors='replace')}")
        return json.loads(answer) if answer else None


def quantile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))] if values else None


def load(url, customers, seconds, connections):
    """Closed loop; answers client and server times of every request in microseconds."""
    until = time.monotonic() + seconds
    times, lock = [], threading.Lock()

    def client(offset):
        server, mine, at = Server(url), [], offset
        while time.monotonic() < until:
            body = {"customer_id": customers[at % len(customers)], "k": 12, "at": "2020-09-23T00:00:00Z"}
            started = time.perf_counter()
            answer = server.ask("POST", "/v1/recommendations", body)
            mine.append(((time.perf_counter() - started) * 1e6, answer["meta"]["took_us"]))
            at += connections
        with lock:
            times.extend(mine)

    threads = [threading.Thread(target=client, args=(n,)) for n in range(connections)]
    for thread in threads:
        thread.start()
    return threads, times


def summary(times):
    client, took = [t[0] for t in times], [t[1] for t in times]
    return {
        "requests": len(times),
        "client_us": {"p50": round(quantile(client, 0.5)), "p99": round(quantile(client, 0.99))},
        "took_us": {"p50": quantile(took, 0.5), "p99": quantile(took, 0.99)},
    }


def measured(arguments, customers):
    threads, times = load(arguments.url, customers, arguments.seconds, arguments.connections)
    for thread in threads:
        thread.join()
    return summary(times)


def milliseconds(values):
    if not values:
        return None
    return {"median": round(statistics.median(values) * 1e3, 1), "max": round(max(values) * 1e3, 1)}


def change(public, admin, replica, article, price):
    """Changes the price of an article; answers when it was answered, served here, and served by the replica."""
    body = dict(article, price=price)
    started = time.monotonic()
    admin.ask("POST", "/admin/v1/articles", {"articles": [body]})
    answered = time.monotonic() - started
    path = "/v1/articles/" + urllib.parse.quote(article["article_id"], safe="")
    served = public.ask("GET", path)["price"]
    if served != price:
        raise SystemExit(f"{article['article_id']}: answered, but served with {served} instead of {price}")
    here = time.monotonic() - started
    while replica is not None and replica.ask("GET", path)["price"] != price:
        if time.monotonic() - started > 60:
            raise SystemExit("the replica did not follow within a minute")
        time.sleep(0.002)
    return answered, here, time.monotonic() - started


def mixed(articles, n):
    """A new article each of whose attributes comes from another one, so that hardly two have the same vector."""
    chance = random.Random(n)
    attributes = {}
    for name in articles[0]["attributes"]:
        values = chance.choice(articles)["attributes"]
        if name in values:
            attributes[name] = values[name]
    return {"article_id": f"measured-new-{n}", "price": 10, "attributes": attributes}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True)
    parser.add_argument("--admin", required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("--replica", help="public address of a second server over the same database")
    parser.add_argument("--customers", required=True, help="a file whose lines begin with a customer's id")
    parser.add_argument("--new", type=int, default=0, help="articles to add that the model does not know")
    parser.add_argument("--seconds", type=int, default=15)
    parser.add_argument("--connections", type=int, default=4)
    arguments = parser.parse_args()
    with open(arguments.customers, encoding="utf-8") as file:
        ids = [line.split(",")[0].strip().strip('"') for line in file]
    customers = [id for id in ids if id and id != "customer_id"][:2000]
    public, admin = Server(arguments.url), Server(arguments.admin, arguments.key)
    replica = Server(arguments.replica) if arguments.replica else None

    measured(argparse.Namespace(**{**vars(arguments), "seconds": 3}), customers)
    steady = measured(arguments, customers)
    print(json.dumps({"steady": steady}), flush=True)

    best = public.ask("GET", "/v1/popular?k=500")["items"]
    articles = [public.ask("GET", "/v1/articles/" + urllib.parse.quote(item["article_id"], safe="")) for item in best]
    threads, times = load(arguments.url, customers, arguments.seconds, arguments.connections)
    found, n = [], 0
    while any(thread.is_alive() for thread in threads):
        found.append(change(public, admin, replica, articles[n % len(articles)], 1000 + n))
        n += 1
        time.sleep(0.1)
    beside = summary(times)
    answered, here, there = zip(*found)
    print(json.dumps({
        "one article": {
            "changes": n, "answered_ms": milliseconds(answered), "served_ms": milliseconds(here),
            "replica_ms": milliseconds(there) if replica else None,
        },
        "requests beside": beside,
        "p99 ratio": round(beside["client_us"]["p99"] / steady["client_us"]["p99"], 2),
    }), flush=True)

    if arguments.new:
        started = time.monotonic()
        for first in range(0, arguments.new, 1000):
            batch = [mixed(articles, n) for n in range(first, min(first + 1000, arguments.new))]
            admin.ask("POST", "/admin/v1/articles", {"articles": batch})
        added = time.monotonic() - started
        measured(argparse.Namespace(**{**vars(arguments), "seconds": 3}), customers)
        new = measured(arguments, customers)
        print(json.dumps({
            "new articles": arguments.new, "added_seconds": round(added, 1), "requests": new,
            "median ratio": round(new["took_us"]["p50"] / steady["took_us"]["p50"], 2),
        }), flush=True)
        # The other connections were idle for too long.
        public, admin = Server(arguments.url), Server(arguments.admin, arguments.key)
        found = [change(public, admin, None, mixed(articles, 7), n + 1) for n in range(5)]
        print(json.dumps({"one new article": {"served_ms": milliseconds([f[1] for f in found])}}), flush=True)


if __name__ == "__main__":
    main()

"""Runs the ported fuzzing client once and sums up what the server did. Started by `run`, in the venv `run` made.

Exit status: 0 nothing failed; 1 a case FAILED or did not run; 2 the suite could not do its work.
"""

import argparse
import collections
import contextlib
import os
import pathlib
import sys
import time
import urllib.parse

GROUPS = ["1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "9.*", "10.*"]
AGENT = "server"
PASSED = ["OK", "NON-STRICT", "INFORMATIONAL", "UNIMPLEMENTED"]
# The suite judges what came back and how the connection closed apart. Its report shows these closes in red; a close
# with an unexpected code (WRONG CODE), or that the client had to finish (FAILED BY CLIENT), only in yellow.
CLOSE_FAILED = ["FAILED", "UNCLEAN"]
CLOSE_REMARK = ["WRONG CODE", "FAILED BY CLIENT"]
COLUMNS = PASSED + ["FAILED", "FAILED CLOSE", "NOT RUN"]


def arguments():
    parser = argparse.ArgumentParser(prog="run", description="Autobahn WebSocket testsuite, fuzzing client, against one server.")
    parser.add_argument("url", help="ws://127.0.0.1:PORT[/path] of a server that echoes every message")
    parser.add_argument("--cases", default=",".join(GROUPS), help="case ids and globs, with commas (default %(default)s; 12.* and 13.* are compression)")
    parser.add_argument("--quick", action="store_true", help="leave out 9.*: large messages and round trips")
    parser.add_argument("--out", metavar="DIR", help="the report: index.html, index.json, one file for each case (default report-PORT in AUTOBAHN_HOME)")
    parser.add_argument("--markdown", metavar="FILE", type=pathlib.Path, help="write the table of the groups there as well")
    parser.add_argument("--limit", type=float, default=1800, metavar="SECONDS", help="stop after so long; cases not run by then fail the run (default %(default)g)")
    args = parser.parse_args()
    url = urllib.parse.urlsplit(args.url)
    if url.scheme != "ws" or not url.hostname or not url.port:
        parser.error(f"not a ws://HOST:PORT address: {args.url}")
    args.out = os.path.abspath(args.out or os.path.join(os.environ["AUTOBAHN_HOME"], f"report-{url.port}"))
    return args


def play(args):
    """Returns (ids of the cases chosen, {id: result}, errors inside the suite itself)."""
    from autobahntestsuite import case, caseset, fuzzing
    from twisted.internet import reactor
    from twisted.python import log

    patterns = [p.strip() for p in args.cases.split(",") if p.strip()]
    spec = {
        "servers": [{"agent": AGENT, "url": args.url}],
        "outdir": args.out,
        "cases": patterns,
        "exclude-cases": ["9.*"] if args.quick else [],
    }
    known = caseset.CaseSet(case.CaseSetname, case.CaseBasename, case.Cases, case.CaseCategories, case.CaseSubCategories)
    chosen = known.parseSpecCases(spec)
    unknown = set(chosen) - set(known.CasesById)
    if unknown or not chosen:
        print(f"run: no such case: {', '.join(sorted(unknown)) or args.cases}", file=sys.stderr)
        sys.exit(2)

    errors = []
    log.addObserver(lambda event: errors.append(log.textFromEventDict(event)) if event.get("isError") else None)
    factory = fuzzing.FuzzingClientFactory(spec)

    interrupted = []

    def out_of_time():
        interrupted.append(factory.currentCaseId)
        factory.createReports()
        reactor.stop()

    reactor.callLater(args.limit, out_of_time)
    reactor.run()
    results = factory.agents.get(AGENT, {})
    for case_id in interrupted:
        results.pop(case_id, None)  # its connection ended with the run, so its FAILED means nothing
    return chosen, results, errors


def order(case_id):
    return [int(part) for part in case_id.split(".")]


def verdict(result):
    if result is None:
        return "NOT RUN"
    if result["behavior"] not in PASSED:
        return "FAILED"
    return "FAILED CLOSE" if result["behaviorClose"] in CLOSE_FAILED else result["behavior"]


def table(chosen, results):
    """Returns [(group, {verdict: how many})] with the sum over all groups as the last row."""
    from autobahntestsuite.case import CaseCategories

    counts = collections.defaultdict(collections.Counter)
    for case_id in chosen:
        counts[case_id.split(".")[0]][verdict(results.get(case_id))] += 1
    rows = [(f"{group} {CaseCategories[group]}", counts[group]) for group in sorted(counts, key=int)]
    return [*rows, ("all", sum(counts.values(), collections.Counter()))]


def show(rows):
    width = max(len(name) for name, _ in rows)
    print(f"{'group':{width}}  {'cases':>5}" + "".join(f"{c:>15}" for c in COLUMNS))
    for name, row in rows:
        print(f"{name:{width}}  {row.total():>5}" + "".join(f"{row[c]:>15}" for c in COLUMNS))


def markdown(rows):
    """No dates and no times: the file differs only when the result does."""
    lines = ["| group | cases | " + " | ".join(COLUMNS) + " |", "|---|" + "--:|" * (len(COLUMNS) + 1)]
    lines += [f"| {name} | {row.total()} | " + " | ".join(str(row[c]) for c in COLUMNS) + " |" for name, row in rows]
    return "\n".join(lines) + "\n"


def details(results):
    results = {case_id: results[case_id] for case_id in sorted(results, key=order)}
    for case_id, r in results.items():
        if verdict(r) not in PASSED:
            print(f"{verdict(r)} {case_id}: {r['behavior']} ({r['result']}), close {r['behaviorClose']} ({r['resultClose']})")
    for word in PASSED[1:]:
        if ids := [case_id for case_id, r in results.items() if verdict(r) == word]:
            print(f"{word}: {' '.join(ids)}")
    for word in CLOSE_REMARK:
        if ids := [case_id for case_id, r in results.items() if r["behaviorClose"] == word]:
            print(f"close {word}: {' '.join(ids)}")


def main():
    args = arguments()
    os.makedirs(args.out, exist_ok=True)
    start = time.monotonic()
    with open(os.path.join(args.out, "suite.log"), "w", encoding="utf-8") as log, contextlib.redirect_stdout(log):
        chosen, results, errors = play(args)
    rows = table(chosen, results)
    total = rows[-1][1]
    show(rows)
    if args.markdown:
        args.markdown.write_text(markdown(rows), encoding="utf-8")
    details(results)
    print(f"{len(results)} of {len(chosen)} cases in {time.monotonic() - start:.0f} s, report in {args.out}")
    for error in errors:
        print(f"run: error inside the suite: {error}", file=sys.stderr)
    if not results:
        print(f"run: nothing ran: is there a WebSocket server at {args.url}? See suite.log in the report.", file=sys.stderr)
    sys.exit(2 if errors or not results else 1 if any(total[word] for word in total if word not in PASSED) else 0)


if __name__ == "__main__":
    main()

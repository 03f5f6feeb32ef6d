"""Prometheus beside a cluster that runs: does it see everything, has the dashboard something to show, do alerts come and go?

Not here: whether the queries are right (test_metrics.py, promtool).
"""

import re
import urllib.parse
from collections.abc import Iterator

from files import ROOT, dashboard
from talk import get_json, until

# An alert waits for minutes before it fires.
PATIENCE_SECONDS = 900


class Prometheus:
    def __init__(self, url: str) -> None:
        self.url = url

    def asked(self, query: str) -> list[dict]:
        words = urllib.parse.urlencode({"query": query})
        return get_json(f"{self.url}/api/v1/query?{words}")["data"]["result"]

    def sees(self, gateways: int) -> None:
        """Waits until all targets are up, and that many of them are gateways."""

        def scraped() -> bool:
            targets = get_json(f"{self.url}/api/v1/targets?state=active")["data"]["activeTargets"]
            up = [target["labels"]["job"] for target in targets if target["health"] == "up"]
            return len(up) == len(targets) and up.count("moim") == gateways and up.count("haproxy") == 1

        until(scraped, "Prometheus does not reach everything")

    def has_all_rules(self) -> None:
        groups = get_json(f"{self.url}/api/v1/rules")["data"]["groups"]
        written = sum(len(re.findall("- alert:", path.read_text())) for path in (ROOT / "deploy/prometheus").glob("*.rules.yml"))
        loaded = sum(len(group["rules"]) for group in groups)
        if loaded != written:
            raise AssertionError(f"{loaded} of {written} alerts are loaded")

    def answers_the_dashboard(self) -> None:
        """Waits until every query of it finds something."""
        silent: list[str] = []

        def all_answered() -> bool:
            silent[:] = [f"{title}: {query}" for title, query in queries() if not self.asked(query)]
            return not silent

        try:
            until(all_answered, "the dashboard shows nothing", 120)
        except AssertionError as fault:
            raise AssertionError("\n".join([str(fault), *silent])) from fault
        print(f"all {len(list(queries()))} queries of the dashboard find something", flush=True)

    def firing(self) -> set[str]:
        return {one["metric"]["alertname"] for one in self.asked('ALERTS{alertstate="firing"}')}

    def alarms(self, *alerts: str) -> None:
        self._waits(lambda: set(alerts) <= self.firing(), f"not all of {alerts} fire")
        print("fires:", *alerts, flush=True)

    def calms(self, *alerts: str) -> None:
        self._waits(lambda: not set(alerts) & self.firing(), f"of {alerts} some fire still")
        print("clears:", *alerts, flush=True)

    def _waits(self, holds, otherwise: str) -> None:
        until(holds, otherwise, PATIENCE_SECONDS)


def queries() -> Iterator[tuple[str, str]]:
    """What each panel asks, for all nodes; without the filters that leave out what is zero."""
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", []):
            query = target["expr"].replace("$__rate_interval", "1m").replace("$node", ".*")
            yield panel["title"], re.sub(r" > 0$", "", query)

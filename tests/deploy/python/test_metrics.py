"""Dashboard and alerts ask for nothing that the programs do not export: neither a name nor a value of a label.

Not here: whether the queries make sense (promtool), that series do not grow with rooms (crates/moim/tests/ops.rs).
"""

import re
import unittest
from collections.abc import Iterator

import running
from files import dashboard, rules, text

# Given by Prometheus or the autoscaler's adapter, or by the rules themselves.
OUTER_LABELS = {"job", "instance", "namespace", "pod"}
OURS = re.compile(r"\b((?:moim|process|haproxy)_[a-z0-9_]+)\b(?:\s*\{([^{}]*)\})?")
MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"')


def queries() -> Iterator[tuple[str, str]]:
    for name in ("moim.rules.yml", "haproxy.rules.yml"):
        for rule in rules(name):
            yield f"{name} {rule['alert']}", rule["expr"]
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", []):
            yield f"panel {panel['title']}", target["expr"]
    for variable in dashboard()["templating"]["list"]:
        yield f"variable {variable['name']}", variable.get("definition", "")
    adapter = text("k8s/components/monitoring/adapter-rules.yaml")
    yield "adapter-rules.yaml", "\n".join(line for line in adapter.splitlines() if not line.startswith("#"))


def faults(query: str, exported: dict[str, dict[str, set[str]]]) -> list[str]:
    found = []
    for name, matchers in OURS.findall(query):
        if name not in exported:
            found.append(f"nothing exports {name}")
            continue
        for label, _, wanted in MATCHER.findall(matchers):
            if label in OUTER_LABELS:
                continue
            values = exported[name].get(label)
            if values is None:
                found.append(f"{name} has no label {label}")
            elif unknown := [one for one in wanted.split("|") if one not in values and one]:
                found.append(f"{name} has no {label} of {unknown}")
    return found


class Metrics(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.exported = running.series(running.metrics_of_moim("serve")) | running.series(running.metrics_of_haproxy())

    def test_what_is_asked_for_is_exported(self) -> None:
        asked = list(queries())
        self.assertGreater(sum(len(OURS.findall(query)) for _, query in asked), 80, "the queries were not found")
        for place, query in asked:
            with self.subTest(place):
                self.assertEqual(faults(query, self.exported), [])

    def test_what_a_writer_is_asked_for_it_exports_as_well(self) -> None:
        writer = running.series(running.metrics_of_moim("writer"))
        self.assertLess(set(writer), set(self.exported))
        self.assertIn("moim_messages_stored_total", writer)

    def test_the_check_finds_what_is_wrong(self) -> None:
        for query, fault in (
            ("rate(moim_ghosts_total[5m])", "nothing exports moim_ghosts_total"),
            ('moim_refused_total{job="moim", code=~"unavailable|gone"}', "moim_refused_total has no code of ['gone']"),
            ('moim_rooms{room="x"}', "moim_rooms has no label room"),
            ("haproxy_backend_happiness", "nothing exports haproxy_backend_happiness"),
        ):
            self.assertEqual(faults(query, self.exported), [fault])

    def test_no_series_is_of_one_room_or_person(self) -> None:
        labels = {label for name, labels in self.exported.items() if name.startswith("moim_") for label in labels}
        self.assertEqual(labels, {"reason", "code", "call", "le", "version"}, "a new label must have a closed set of values")


if __name__ == "__main__":
    unittest.main()

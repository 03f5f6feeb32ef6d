"""Each alert says what is wrong, how bad it is and where its entry in the runbook is, and is shown to fire and to clear.

Not here: whether the rules can be read, and the proofs themselves (promtool, deploy/prometheus/tests).
"""

import re
import unittest

import yaml
from files import overlays, rules, seconds, text

RUNBOOK = "deploy/README.md"
FILES = ("moim.rules.yml", "haproxy.rules.yml")
FIRING = 'group by (alertname, severity) (ALERTS{alertstate="firing"})'


def fired_and_cleared(test: dict) -> set[str]:
    """What fires in a test, and at a later time of it does not."""
    looks = [one for one in test["promql_expr_test"] if one["expr"] == FIRING]
    fired: set[str] = set()
    cleared: set[str] = set()
    for look in sorted(looks, key=lambda one: seconds(one["eval_time"])):
        now = {sample["labels"] for sample in look["exp_samples"]}
        cleared |= fired - now
        fired = now
    return cleared


class Alerts(unittest.TestCase):
    def test_each_is_complete(self) -> None:
        for rule in (rule for name in FILES for rule in rules(name)):
            with self.subTest(rule["alert"]):
                self.assertIn(rule["labels"]["severity"], {"critical", "warning"})
                self.assertTrue(rule["annotations"]["summary"] and rule["annotations"]["description"])
                self.assertEqual(rule["annotations"]["runbook_url"], f"{RUNBOOK}#{rule['alert'].lower()}")

    def test_the_runbook_has_an_entry_for_each_and_no_other(self) -> None:
        entries = re.findall(r"^#### (\w+)$", text(RUNBOOK), re.MULTILINE)
        self.assertEqual(sorted(entries), sorted(rule["alert"] for name in FILES for rule in rules(name)))

    def test_each_is_shown_to_fire_and_to_clear(self) -> None:
        for name in FILES:
            tests = yaml.safe_load(text(f"deploy/prometheus/tests/{name.replace('.yml', '.test.yml')}"))["tests"]
            shown = {label for test in tests for label in fired_and_cleared(test)}
            for rule in rules(name):
                self.assertIn(f'{{alertname="{rule["alert"]}", severity="{rule["labels"]["severity"]}"}}', shown)

    def test_one_that_only_fires_is_found(self) -> None:
        fires = {"expr": FIRING, "eval_time": "20m", "exp_samples": [{"labels": "one"}, {"labels": "two"}]}
        clears = {"expr": FIRING, "eval_time": "55m", "exp_samples": [{"labels": "two"}]}
        self.assertEqual(fired_and_cleared({"promql_expr_test": [clears, fires]}), {"one"})
        self.assertEqual(fired_and_cleared({"promql_expr_test": [fires]}), set())

    def test_kubernetes_has_the_same(self) -> None:
        ours = yaml.safe_load(text("deploy/prometheus/moim.rules.yml"))["groups"]
        found = {name: [one for one in objects if one["kind"] == "PrometheusRule"] for name, objects in overlays().items()}
        self.assertEqual({name for name, some in found.items() if some}, {"production", "production-ingress"})
        for some in found.values():
            for rule in some:
                self.assertEqual(rule["spec"]["groups"], ours)


if __name__ == "__main__":
    unittest.main()

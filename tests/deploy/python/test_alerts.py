"""Each alert says what is wrong, how bad it is and where its entry in the runbook is, and is shown to fire.

Not here: whether the rules can be read, and the proofs themselves (promtool, deploy/prometheus/tests).
"""

import re
import unittest

import yaml
from files import overlays, rules, text

RUNBOOK = "deploy/README.md"
FILES = ("moim.rules.yml", "haproxy.rules.yml")


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

    def test_each_is_shown_to_fire(self) -> None:
        for name in FILES:
            tests = yaml.safe_load(text(f"deploy/prometheus/tests/{name.replace('.yml', '.test.yml')}"))["tests"]
            labels = [sample["labels"] for test in tests for one in test["promql_expr_test"] for sample in one["exp_samples"]]
            for rule in rules(name):
                fired = f'{{alertname="{rule["alert"]}", severity="{rule["labels"]["severity"]}"}}'
                self.assertIn(fired, labels)

    def test_kubernetes_has_the_same(self) -> None:
        ours = yaml.safe_load(text("deploy/prometheus/moim.rules.yml"))["groups"]
        found = {name: [one for one in objects if one["kind"] == "PrometheusRule"] for name, objects in overlays().items()}
        self.assertEqual({name for name, some in found.items() if some}, {"production", "production-ingress"})
        for some in found.values():
            for rule in some:
                self.assertEqual(rule["spec"]["groups"], ours)


if __name__ == "__main__":
    unittest.main()

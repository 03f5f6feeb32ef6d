"""The dashboard is one that Grafana can show, and is where its provisioning looks for it.

Not here: whether its queries name metrics that exist (test_metrics.py).
"""

import itertools
import unittest

import yaml
from files import compose, dashboard, text


class Dashboard(unittest.TestCase):
    def test_it_answers_the_three_questions(self) -> None:
        rows = [panel["title"] for panel in dashboard()["panels"] if panel["type"] == "row"]
        self.assertEqual(rows[:3], ["Is chat healthy?", "Who is hurting?", "Where is time lost?"])

    def test_panels_are_whole_and_do_not_cover_one_another(self) -> None:
        panels = dashboard()["panels"]
        self.assertEqual(len({panel["id"] for panel in panels}), len(panels))
        for one, other in itertools.combinations([panel["gridPos"] for panel in panels], 2):
            apart = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
            apart = apart or one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
            self.assertTrue(apart, f"{one} covers {other}")
        for panel in panels:
            self.assertLessEqual(panel["gridPos"]["x"] + panel["gridPos"]["w"], 24)
            if panel["type"] != "row":
                self.assertEqual(panel["datasource"]["uid"], "${datasource}", panel["title"])
                self.assertTrue(panel["targets"], panel["title"])

    def test_every_query_of_moim_is_about_the_nodes_chosen(self) -> None:
        for panel in dashboard()["panels"]:
            for target in panel.get("targets", []):
                if "moim_" in target["expr"] or "process_" in target["expr"]:
                    self.assertIn('{job="moim", instance=~"$node"', target["expr"], panel["title"])

    def test_grafana_finds_it(self) -> None:
        mounts = dict(volume.split(":")[:2] for volume in compose()["services"]["grafana"]["volumes"])
        provider = yaml.safe_load(text("deploy/grafana/provisioning/dashboards/moim.yml"))["providers"][0]
        self.assertEqual(mounts["./deploy/grafana/dashboards"], provider["options"]["path"])
        self.assertEqual(mounts["./deploy/grafana/provisioning"], "/etc/grafana/provisioning")
        home = compose()["services"]["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
        self.assertEqual(home, f"{provider['options']['path']}/moim.json")

    def test_it_asks_the_prometheus_beside_it_and_knows_how_often_that_scrapes(self) -> None:
        source = yaml.safe_load(text("deploy/grafana/provisioning/datasources/prometheus.yml"))["datasources"][0]
        self.assertEqual(source["url"], "http://prometheus:9090")
        scrape = yaml.safe_load(text("deploy/prometheus/prometheus.yml"))["global"]["scrape_interval"]
        self.assertEqual(source["jsonData"]["timeInterval"], scrape)


if __name__ == "__main__":
    unittest.main()

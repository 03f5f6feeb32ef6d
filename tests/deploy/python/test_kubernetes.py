"""The manifests fit together: what selects finds something, what drains has time, no pod has more rights than it needs.

Not here: whether each object is of its schema (kubernetes-validate, in `cargo xtask test --only deploy`).
"""

import functools
import unittest
from collections.abc import Callable, Iterator

import running
from files import overlays

# Of kinds with a pod template.
WORKLOADS = {"Deployment", "StatefulSet", "Job"}
# The image's own settings.
IMAGE = {"MOIM__LISTEN__PUBLIC": "0.0.0.0:8765", "MOIM__LISTEN__OPS": "0.0.0.0:9765"}
# Of kinds that kubernetes-validate has no schema of: the references below are what is checked of them.
CUSTOM = {"HTTPRoute", "ServiceMonitor", "PrometheusRule"}


def of_kind(objects: list[dict], *kinds: str) -> list[dict]:
    return [one for one in objects if one["kind"] in kinds]


def pods(objects: list[dict]) -> Iterator[tuple[str, dict]]:
    for workload in of_kind(objects, *WORKLOADS):
        yield f"{workload['kind']} {workload['metadata']['name']}", workload["spec"]["template"]


def moims(objects: list[dict]) -> Iterator[tuple[str, dict]]:
    return ((name, pod) for name, pod in pods(objects) if pod["spec"]["containers"][0]["name"] == "moim")


def matches(selector: dict, labels: dict) -> bool:
    return all(labels.get(key) == value for key, value in selector.items())


def settings(objects: list[dict], pod: dict) -> dict[str, str]:
    maps = {one["metadata"]["name"]: one["data"] for one in of_kind(objects, "ConfigMap")}
    container = pod["spec"]["containers"][0]
    read = {}
    for source in container["envFrom"]:
        if "configMapRef" in source:
            read |= maps[source["configMapRef"]["name"]]
    return IMAGE | read | {one["name"]: one["value"] for one in container.get("env", [])}


def in_each_overlay(test: Callable[[unittest.TestCase, list[dict]], None]) -> Callable[[unittest.TestCase], None]:
    @functools.wraps(test)
    def run(self: unittest.TestCase) -> None:
        for name, objects in overlays().items():
            with self.subTest(name):
                test(self, objects)

    return run


class Kubernetes(unittest.TestCase):
    @in_each_overlay
    def test_no_pod_has_more_rights_than_it_needs(self, objects: list[dict]) -> None:
        for name, pod in pods(objects):
            spec = pod["spec"]
            self.assertFalse(spec["automountServiceAccountToken"], name)
            self.assertTrue(spec["securityContext"]["runAsNonRoot"] and spec["securityContext"]["runAsUser"] > 0, name)
            self.assertEqual(spec["securityContext"]["seccompProfile"], {"type": "RuntimeDefault"}, name)
            for container in spec["containers"]:
                rights = container["securityContext"]
                self.assertFalse(rights["allowPrivilegeEscalation"], name)
                self.assertEqual(rights["capabilities"], {"drop": ["ALL"]}, name)
                if "cassandra" not in name:
                    self.assertTrue(rights["readOnlyRootFilesystem"], name)

    @in_each_overlay
    def test_every_container_is_bounded_and_of_a_version(self, objects: list[dict]) -> None:
        for name, pod in pods(objects):
            for container in pod["spec"]["containers"]:
                self.assertIn("memory", container["resources"]["limits"], name)
                self.assertIn("cpu", container["resources"]["requests"], name)
                tag = container["image"].rpartition(":")[2]
                self.assertTrue(":" in container["image"] and tag != "latest", name)

    @in_each_overlay
    def test_liveness_asks_for_nothing_outside_and_readiness_does(self, objects: list[dict]) -> None:
        nodes = [(name, pod) for name, pod in moims(objects) if name.startswith("Deployment")]
        self.assertEqual(len(nodes), 2)
        for name, pod in nodes:
            container = pod["spec"]["containers"][0]
            for probe, path in (("startupProbe", "/livez"), ("livenessProbe", "/livez"), ("readinessProbe", "/readyz")):
                self.assertEqual(container[probe]["httpGet"], {"path": path, "port": "ops"}, name)

    @in_each_overlay
    def test_moim_understands_its_settings(self, objects: list[dict]) -> None:
        for name, pod in moims(objects):
            checked = running.check_config(settings(objects, pod))
            self.assertEqual(checked.returncode, 0, f"{name}: {checked.stderr}")

    @in_each_overlay
    def test_somebody_stores(self, objects: list[dict]) -> None:
        stores = {name: settings(objects, pod).get("MOIM__WRITER__ENABLED") for name, pod in moims(objects)}
        self.assertEqual(stores["Deployment moim-gateway"], "false")
        writer = next(one for one in of_kind(objects, "Deployment") if one["metadata"]["name"] == "moim-writer")
        self.assertGreaterEqual(writer["spec"]["replicas"], 1)

    @in_each_overlay
    def test_a_drain_has_the_time_it_needs(self, objects: list[dict]) -> None:
        for name, pod in moims(objects):
            if not name.startswith("Deployment"):
                continue
            drain = {key: int(settings(objects, pod)[f"MOIM__DRAIN__{key}_SECONDS"]) for key in ("UNREADY", "SPREAD", "GRACE")}
            container = pod["spec"]["containers"][0]
            before = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
            self.assertLess(drain["UNREADY"] + drain["SPREAD"], drain["GRACE"], name)
            self.assertLess(before + drain["GRACE"], pod["spec"]["terminationGracePeriodSeconds"], name)
            if name.endswith("gateway"):
                probe = container["readinessProbe"]
                self.assertGreaterEqual(before, probe["periodSeconds"] * probe["failureThreshold"], name)

    @in_each_overlay
    def test_what_selects_finds_something(self, objects: list[dict]) -> None:
        templates = [pod for _, pod in pods(objects)]
        for one in of_kind(objects, "Service"):
            self.found(one, one["spec"]["selector"], templates)
        for one in of_kind(objects, "PodDisruptionBudget"):
            self.found(one, one["spec"]["selector"]["matchLabels"], templates)
        for one in of_kind(objects, "NetworkPolicy"):
            self.found(one, one["spec"]["podSelector"].get("matchLabels", {}), templates)
            peers = [peer for way in ("ingress", "egress") for rule in one["spec"].get(way, []) for peer in rule.get("from", rule.get("to", []))]
            for peer in peers:
                if "podSelector" in peer and "namespaceSelector" not in peer:
                    self.found(one, peer["podSelector"]["matchLabels"], templates)
        for one in of_kind(objects, "HorizontalPodAutoscaler"):
            target = one["spec"]["scaleTargetRef"]
            names = [workload["metadata"]["name"] for workload in of_kind(objects, target["kind"])]
            self.assertIn(target["name"], names)
        for one in of_kind(objects, "Deployment", "StatefulSet"):
            self.assertTrue(matches(one["spec"]["selector"]["matchLabels"], one["spec"]["template"]["metadata"]["labels"]))
            for spread in one["spec"]["template"]["spec"].get("topologySpreadConstraints", []):
                self.assertTrue(matches(spread["labelSelector"]["matchLabels"], one["spec"]["template"]["metadata"]["labels"]))

    def found(self, one: dict, selector: dict, templates: list[dict]) -> None:
        some = [pod for pod in templates if matches(selector, pod["metadata"]["labels"])]
        self.assertTrue(some, f"{one['kind']} {one['metadata']['name']} selects nothing: {selector}")

    @in_each_overlay
    def test_ports_and_backends_exist(self, objects: list[dict]) -> None:
        offered = {}
        for service in of_kind(objects, "Service"):
            chosen = [pod for _, pod in pods(objects) if matches(service["spec"]["selector"], pod["metadata"]["labels"])]
            for pod in chosen:
                names = {port["name"] for container in pod["spec"]["containers"] for port in container.get("ports", [])}
                numbers = {port["containerPort"] for container in pod["spec"]["containers"] for port in container.get("ports", [])}
                for port in service["spec"]["ports"]:
                    self.assertIn(port.get("targetPort", port["port"]), names | numbers, service["metadata"]["name"])
            offered[service["metadata"]["name"]] = service
        for route in of_kind(objects, "HTTPRoute"):
            for backend in (backend for rule in route["spec"]["rules"] for backend in rule["backendRefs"]):
                self.assertIn(backend["port"], [port["port"] for port in offered[backend["name"]]["spec"]["ports"]])
        for ingress in of_kind(objects, "Ingress"):
            for path in (path for rule in ingress["spec"]["rules"] for path in rule["http"]["paths"]):
                backend = path["backend"]["service"]
                self.assertIn(backend["port"]["name"], [port["name"] for port in offered[backend["name"]]["spec"]["ports"]])
        for monitor in of_kind(objects, "ServiceMonitor"):
            watched = [one for one in offered.values() if matches(monitor["spec"]["selector"]["matchLabels"], one["metadata"]["labels"])]
            self.assertEqual([one["metadata"]["labels"][monitor["spec"]["jobLabel"]] for one in watched], ["moim"])
            self.assertIn(monitor["spec"]["endpoints"][0]["port"], [port["name"] for port in watched[0]["spec"]["ports"]])

    def test_each_way_in_is_in_its_overlay(self) -> None:
        ways = {name: {one["kind"] for one in of_kind(objects, "HTTPRoute", "Ingress")} for name, objects in overlays().items()}
        self.assertEqual(ways, {"base": set(), "local": set(), "production": {"HTTPRoute"}, "production-ingress": {"Ingress"}})

    @in_each_overlay
    def test_nobody_may_talk_who_is_not_named(self, objects: list[dict]) -> None:
        deny = [one for one in of_kind(objects, "NetworkPolicy") if one["metadata"]["name"] == "default-deny"]
        self.assertEqual(deny[0]["spec"], {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]})

    def test_production_does_not_start_without_its_secrets_which_are_not_here(self) -> None:
        for objects in overlays().values():
            self.assertEqual(of_kind(objects, "Secret"), [])
        for name in ("production", "production-ingress"):
            for pod_name, pod in moims(overlays()[name]):
                secrets = [source["secretRef"] for source in pod["spec"]["containers"][0]["envFrom"] if "secretRef" in source]
                self.assertEqual(secrets, [{"name": "moim-secrets", "optional": False}], pod_name)

    def test_the_autoscaler_counts_people_and_is_not_overruled(self) -> None:
        for name in ("base", "production"):
            objects = overlays()[name]
            scaler = of_kind(objects, "HorizontalPodAutoscaler")[0]
            self.assertEqual(scaler["spec"]["metrics"][0]["pods"]["metric"]["name"], "chat-connections")
            gateway = next(one for one in of_kind(objects, "Deployment") if one["metadata"]["name"] == "moim-gateway")
            self.assertNotIn("replicas", gateway["spec"])

    @in_each_overlay
    def test_kinds_without_a_schema_are_known(self, objects: list[dict]) -> None:
        builtin = ("v1", "apps/", "batch/", "policy/", "autoscaling/", "networking.k8s.io/")
        custom = {one["kind"] for one in objects if not one["apiVersion"].startswith(builtin)}
        self.assertLessEqual(custom, CUSTOM)


if __name__ == "__main__":
    unittest.main()

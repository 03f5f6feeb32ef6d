"""The Dockerfile agrees with the rest of the repository.

Not here: whether it is a good one (hadolint), and building it.
"""

import re
import tomllib
import unittest

from files import compose, overlays, text, version


class Image(unittest.TestCase):
    def setUp(self) -> None:
        self.dockerfile = text("deploy/Dockerfile")

    def test_the_compiler_is_the_one_of_the_workspace(self) -> None:
        rust = tomllib.loads(text("Cargo.toml"))["workspace"]["package"]["rust-version"]
        self.assertRegex(self.dockerfile, rf"(?m)^FROM rust:{re.escape(rust)}-bookworm AS build$")

    def test_the_version_is_the_one_of_the_workspace(self) -> None:
        self.assertIn(f"\nARG VERSION={version()}\n", self.dockerfile)
        used = {pod["spec"]["template"]["spec"]["containers"][0]["image"] for pod in overlays()["base"] if pod["kind"] == "Deployment"}
        self.assertEqual(used, {f"moim:{version()}"})

    def test_it_runs_as_the_user_that_others_say(self) -> None:
        user = re.search(r"(?m)^USER (\d+):(\d+)$", self.dockerfile)
        self.assertEqual(compose()["services"]["gateway-1"]["user"], f"{user[1]}:{user[2]}")
        for one in overlays()["base"]:
            if one["kind"] == "Deployment":
                self.assertEqual(one["spec"]["template"]["spec"]["securityContext"]["runAsUser"], int(user[1]))

    def test_what_old_engines_cannot_read_is_not_in_it(self) -> None:
        self.assertNotIn("# syntax", self.dockerfile)
        self.assertNotRegex(self.dockerfile, r"--link|<<")

    def test_it_is_stopped_and_asked_without_a_shell(self) -> None:
        self.assertIn('\nENTRYPOINT ["/usr/local/bin/moim"]\n', self.dockerfile)
        self.assertIn('CMD ["/usr/local/bin/moim", "healthcheck"]', self.dockerfile)
        self.assertIn("\nSTOPSIGNAL SIGTERM\n", self.dockerfile)

    def test_nothing_is_sent_to_the_engine_but_what_is_built(self) -> None:
        lines = [line for line in text(".dockerignore").splitlines() if line and not line.startswith("#")]
        self.assertEqual(lines[0], "*")
        members = tomllib.loads(text("Cargo.toml"))["workspace"]["members"]
        for folder in {member.split("/")[0] for member in members}:
            self.assertIn(f"!{folder}", lines)


if __name__ == "__main__":
    unittest.main()

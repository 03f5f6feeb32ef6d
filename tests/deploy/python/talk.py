"""People who talk in a few rooms while things are done to a cluster, and what must be true of what they said.

Not here: what is done to it (try_compose.py, try_k8s.py).
"""

import json
import threading
import time
import urllib.error
import urllib.request
import uuid

ROOMS = ["general", "two", "three"]
PAUSE_SECONDS = 0.05
RETRY_SECONDS = 0.5
PATIENCE_SECONDS = 300
PAGE = 100


class Talk:
    """Says numbered things until it is stopped; each is sent again under the same key until it is acknowledged."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self.name = f"talk-{uuid.uuid4().hex[:8]}"
        self.acknowledged: dict[str, tuple[str, int]] = {}
        self.levels: set[str] = set()
        self._stopping = threading.Event()
        self._fault: str | None = None
        self._thread = threading.Thread(target=self._talk, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(PATIENCE_SECONDS * 2)
        if self._fault or self._thread.is_alive():
            raise AssertionError(self._fault or "the talk does not end")

    def goes_on(self) -> None:
        """Waits until ten more things are acknowledged."""
        goal = len(self.acknowledged) + 10
        until(lambda: len(self.acknowledged) >= goal or self._fault, "nothing more is acknowledged")
        if self._fault:
            raise AssertionError(self._fault)

    def _talk(self) -> None:
        number = 0
        while not self._stopping.is_set() and not self._fault:
            number += 1
            self._say(ROOMS[number % len(ROOMS)], f"{self.name} {number}")
            time.sleep(PAUSE_SECONDS)

    def _say(self, room: str, content: str) -> None:
        body = json.dumps({"username": self.name, "content": content}).encode()
        headers = {"Content-Type": "application/json", "Idempotency-Key": uuid.uuid4().hex}
        deadline = time.monotonic() + PATIENCE_SECONDS
        fault = "?"
        while time.monotonic() < deadline:
            request = urllib.request.Request(f"{self.url}/api/v1/rooms/{room}/messages", body, headers, method="POST")
            try:
                with urllib.request.urlopen(request, timeout=30) as answer:
                    acknowledged = json.load(answer)
                self.acknowledged[content] = (room, acknowledged["seq"])
                self.levels.add(acknowledged["level"])
                return
            except urllib.error.HTTPError as error:
                fault = f"{error.code} {error.read().decode(errors='replace')}"
                if error.code < 500 and error.code != 429:
                    break
            except (OSError, ValueError) as error:
                fault = repr(error)
            time.sleep(RETRY_SECONDS)
        self._fault = f"{content} was not acknowledged: {fault}"

    def check(self) -> None:
        """Everything acknowledged is in the history, once, where its acknowledgement said, and the history is whole."""
        if not self.acknowledged:
            raise AssertionError("nothing was said")
        found: dict[str, list[tuple[str, int]]] = {}
        for room in ROOMS:
            for message in self._history(room):
                if message["username"] == self.name:
                    found.setdefault(message["content"], []).append((room, message["seq"]))
        wrong = {said: (where, found.get(said)) for said, where in self.acknowledged.items() if found.get(said) != [where]}
        if wrong:
            raise AssertionError(f"{len(wrong)} of {len(self.acknowledged)} are lost, doubled or elsewhere: {dict(list(wrong.items())[:5])}")
        print(f"{len(self.acknowledged)} acknowledged ({', '.join(sorted(self.levels))}), each there once", flush=True)

    def _history(self, room: str) -> list[dict]:
        messages: list[dict] = []
        after = 0
        while True:
            page = self._page(room, after)
            messages += page["messages"]
            if len(page["messages"]) < PAGE:
                return messages
            after = page["messages"][-1]["seq"]

    def _page(self, room: str, after: int) -> dict:
        page: dict = {}

        def whole() -> bool:
            page.update(get_json(f"{self.url}/api/v1/rooms/{room}/messages?after={after}&limit={PAGE}"))
            return page["complete"]

        until(whole, f"the history of {room} stays incomplete")
        return page


def get_json(url: str) -> dict:
    with urllib.request.urlopen(url, timeout=30) as answer:
        return json.load(answer)


def get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=30) as answer:
        return answer.read().decode()


def until(holds, otherwise: str, patience: float = PATIENCE_SECONDS) -> None:
    """Waits; what cannot be reached does not hold yet."""
    deadline = time.monotonic() + patience
    fault = ""
    while time.monotonic() < deadline:
        try:
            if holds():
                return
        except (OSError, ValueError, KeyError) as error:
            fault = f" ({error!r})"
        time.sleep(0.5)
    raise AssertionError(f"after {patience:.0f} s: {otherwise}{fault}")

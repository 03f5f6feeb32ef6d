"""The article's contract, from outside: a client that knows nothing of moim but the plain profile.

Not here: the v1 profile, or anything that only moim has (`clients/js`).
"""

import asyncio
import contextlib
import datetime
import json
import unittest
from collections.abc import AsyncIterator
from urllib.parse import quote

import websockets
from moim_server import MoimServer

# Longer than anything takes on a busy machine: who waits this long waits for nothing.
PATIENCE_SECONDS = 20
MESSAGE_BYTES_MAX = 1024 * 1024
PLAIN_TYPES = {"system", "history", "message", "typing", "error"}
FIELDS = {
    "system": {"message": str, "userCount": int, "timestamp": str},
    "history": {"messages": list},
    "message": {"username": str, "content": str, "timestamp": str},
    "typing": {"username": str, "isTyping": bool},
    "error": {"message": str},
}


class PlainClient:
    """One connection as the article's browser client makes it: no subprotocol, frames read one after another."""

    def __init__(self, socket: websockets.ClientConnection) -> None:
        self.socket = socket
        self._kept: list[dict] = []

    async def joined(self) -> None:
        """Nothing in this profile says that the join is done; but it is before anything sent is answered."""
        before = []
        await self.socket.send("?")
        while (frame := await self.next())["type"] != "error":
            before.append(frame)
        self._kept = before

    async def say(self, content: str) -> None:
        await self.send({"type": "message", "content": content})

    async def send(self, frame: object) -> None:
        await self.socket.send(json.dumps(frame))

    async def next(self) -> dict:
        """The next frame, checked against the contract: a type of this profile, with its fields."""
        if self._kept:
            return self._kept.pop(0)
        frame = json.loads(await asyncio.wait_for(self.socket.recv(decode=True), PATIENCE_SECONDS))
        if frame["type"] not in PLAIN_TYPES:
            raise AssertionError(f"not in the plain profile: {frame}")
        for name, kind in FIELDS[frame["type"]].items():
            if type(frame.get(name)) is not kind:
                raise AssertionError(f"no {kind.__name__} {name} in {frame}")
        return frame


class PlainContract(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        self.server = await MoimServer.start()
        self.addAsyncCleanup(self.server.remove)

    async def enter(self, room: str, name: str | None, **options: object) -> PlainClient:
        query = "" if name is None else f"?username={quote(name)}"
        address = self.server.address(f"/chat/{quote(room, safe='')}{query}")
        # Nothing between the two may change what they say.
        socket = await websockets.connect(address, compression=None, proxy=None, **options)
        self.addAsyncCleanup(socket.close)
        client = PlainClient(socket)
        await client.joined()
        return client

    async def silent(self, *clients: PlainClient) -> None:
        """Nothing waits for these: what the first says now is the next thing that each hears."""
        mark = f"조용히 {id(clients)}"
        await clients[0].say(mark)
        for client in clients:
            frame = await client.next()
            self.assertEqual((frame["type"], frame.get("content")), ("message", mark))

    async def assert_closed(self, client: PlainClient, code: int) -> None:
        with self.assertRaises(websockets.ConnectionClosed) as closed:
            while True:
                await asyncio.wait_for(client.socket.recv(), PATIENCE_SECONDS)
        received = closed.exception.rcvd
        self.assertIsNotNone(received, "the connection broke without a close frame")
        self.assertEqual(received.code, code)

    async def test_a_message_reaches_everyone_in_the_room_and_its_sender(self) -> None:
        minsu = await self.enter("수다방", "민수")
        jane = await self.enter("수다방", "Jane")
        await minsu.next()
        elsewhere = await self.enter("다른 방", "지민")
        await jane.say("안녕하세요 👋")
        heard = [await client.next() for client in (minsu, jane)]
        for frame in heard:
            self.assertEqual((frame["type"], frame["username"], frame["content"]), ("message", "Jane", "안녕하세요 👋"))
        self.assertEqual(heard[0]["timestamp"], heard[1]["timestamp"])
        await self.silent(elsewhere)

    async def test_timestamps_are_rfc_3339_utc_with_milliseconds(self) -> None:
        minsu = await self.enter("시간", "민수")
        await minsu.say("지금")
        stamp = (await minsu.next())["timestamp"]
        self.assertRegex(stamp, r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
        apart = datetime.datetime.now(datetime.timezone.utc) - datetime.datetime.fromisoformat(stamp.replace("Z", "+00:00"))
        self.assertLess(abs(apart), datetime.timedelta(seconds=PATIENCE_SECONDS))

    async def test_others_are_told_who_comes_and_goes_and_how_many_are_here(self) -> None:
        minsu = await self.enter("문 앞", "민수")
        jane = await self.enter("문 앞", "Jane & <b>")
        frame = await minsu.next()
        self.assertEqual((frame["message"], frame["userCount"]), ("Jane & <b>님이 입장했습니다.", 2))
        third = await self.enter("문 앞", "지민")
        for client in (minsu, jane):
            frame = await client.next()
            self.assertEqual((frame["type"], frame["message"], frame["userCount"]), ("system", "지민님이 입장했습니다.", 3))
        await self.silent(third, minsu, jane)
        await jane.socket.close()
        for client in (minsu, third):
            frame = await client.next()
            self.assertEqual((frame["message"], frame["userCount"]), ("Jane & <b>님이 퇴장했습니다.", 2))

    async def test_a_connection_that_breaks_leaves_too(self) -> None:
        minsu = await self.enter("끊김", "민수")
        jane = await self.enter("끊김", "Jane")
        await minsu.next()
        jane.socket.transport.abort()
        frame = await minsu.next()
        self.assertEqual((frame["message"], frame["userCount"]), ("Jane님이 퇴장했습니다.", 1))

    async def test_the_joiner_gets_the_last_twenty_in_order_and_an_empty_room_says_nothing(self) -> None:
        minsu = await self.enter("기록", "민수")
        # Were there an empty history, it would come before the echo of this.
        for number in range(1, 31):
            await minsu.say(f"{number}번")
        said = [await minsu.next() for _ in range(30)]
        self.assertEqual([frame["content"] for frame in said], [f"{number}번" for number in range(1, 31)])
        jane = await self.enter("기록", "Jane")
        frame = await jane.next()
        self.assertEqual(frame["type"], "history")
        wanted = [{key: old[key] for key in ("type", "username", "content", "timestamp")} for old in said[10:]]
        self.assertEqual([{key: old[key] for key in wanted[0]} for old in frame["messages"]], wanted)
        await self.silent(jane)

    async def test_typing_reaches_everyone_but_the_typist(self) -> None:
        minsu = await self.enter("입력", "민수")
        jane = await self.enter("입력", "Jane")
        await minsu.next()
        for frame, is_typing in (
            ({"type": "typing", "isTyping": True}, True),
            ({"type": "typing"}, False),
            ({"type": "typing", "isTyping": False}, False),
        ):
            await jane.send(frame)
            heard = await minsu.next()
            self.assertEqual((heard["type"], heard["username"], heard["isTyping"]), ("typing", "Jane", is_typing))
        await self.silent(jane, minsu)

    async def test_what_is_missing_has_a_default_and_what_is_unknown_is_ignored(self) -> None:
        minsu = await self.enter("빠진 것", "민수")
        await minsu.send({"content": "종류 없이"})
        await minsu.send({"type": "message"})
        await minsu.send({"type": "춤", "content": "x"})
        await minsu.send({"type": "message", "content": "모르는 것과", "extra": {"a": [1]}})
        heard = [(await minsu.next())["content"] for _ in range(3)]
        self.assertEqual(heard, ["종류 없이", "", "모르는 것과"])

    async def test_what_is_no_json_is_answered_and_the_connection_stays(self) -> None:
        minsu = await self.enter("오류", "민수")
        jane = await self.enter("오류", "Jane")
        await minsu.next()
        for text in ("안녕", "{", '{"type":"message"', ""):
            await jane.socket.send(text)
            frame = await jane.next()
            self.assertEqual((frame["type"], frame["message"]), ("error", "잘못된 메시지 형식입니다."))
        await self.silent(jane, minsu)

    async def test_names_and_rooms_are_percent_decoded_and_have_defaults(self) -> None:
        general = await self.enter("general", "민수")
        for path, name in (
            ("/chat/", "익명"),
            ("/chat/?username=", "익명"),
            ("/chat/general?username", "익명"),
            ("/chat/general?username=%EC%A7%80%EB%AF%BC", "지민"),
            ("/chat/general?username=a+b%2Bc", "a b+c"),
            ("/chat/%67eneral?x&username=%F0%9F%91%8B", "👋"),
        ):
            socket = await websockets.connect(self.server.address(path), proxy=None)
            frame = await general.next()
            self.assertEqual((path, frame["message"]), (path, f"{name}님이 입장했습니다."))
            await socket.close()
            await general.next()

    async def test_a_message_of_a_mebibyte_passes_and_one_byte_more_closes_with_1009(self) -> None:
        minsu = await self.enter("큰 것", "민수", max_size=None)
        jane = await self.enter("큰 것", "Jane", max_size=None)
        await minsu.next()
        around = len(json.dumps({"type": "message", "content": ""}))
        await jane.say("x" * (MESSAGE_BYTES_MAX - around))
        for client in (minsu, jane):
            self.assertEqual(len((await client.next())["content"]), MESSAGE_BYTES_MAX - around)
        await jane.say("x" * (MESSAGE_BYTES_MAX - around + 1))
        await self.assert_closed(jane, 1009)
        self.assertEqual((await minsu.next())["message"], "Jane님이 퇴장했습니다.")
        await self.silent(minsu)

    async def test_a_normal_close_is_answered_with_1000(self) -> None:
        minsu = await self.enter("안녕히", "민수")
        await minsu.socket.close(1000)
        received = minsu.socket.protocol.close_rcvd
        self.assertEqual(received.code, 1000)

    async def test_pings_are_answered_and_a_message_may_come_in_fragments(self) -> None:
        minsu = await self.enter("조각", "민수")
        text = json.dumps({"type": "message", "content": "조각조각"}, ensure_ascii=False)

        async def pieces():
            for start in range(0, len(text), 7):
                yield text[start : start + 7]
                pong = await minsu.socket.ping()
                await asyncio.wait_for(pong, PATIENCE_SECONDS)

        await minsu.socket.send(pieces())
        self.assertEqual((await minsu.next())["content"], "조각조각")


class ArticleScript(unittest.IsolatedAsyncioTestCase):
    """The chat as one would write it after reading the article, run by two people."""

    async def asyncSetUp(self) -> None:
        self.server = await MoimServer.start()
        self.addAsyncCleanup(self.server.remove)

    async def test_two_people_chat_and_one_comes_back_to_what_was_said(self) -> None:
        screens: dict[str, list[str]] = {"민수": [], "영희": []}
        news = asyncio.Condition()

        async def show(name: str, line: str) -> None:
            async with news:
                screens[name].append(line)
                news.notify_all()

        async def shown(name: str, line: str) -> None:
            async with news:
                await asyncio.wait_for(news.wait_for(lambda: line in screens[name]), PATIENCE_SECONDS)

        async def receive(socket: websockets.ClientConnection, name: str) -> None:
            async for text in socket:
                data = json.loads(text)
                if data["type"] == "system":
                    await show(name, f"* {data['message']} ({data['userCount']}명)")
                elif data["type"] == "history":
                    for old in data["messages"]:
                        await show(name, f"{old['username']}: {old['content']}")
                elif data["type"] == "message":
                    await show(name, f"{data['username']}: {data['content']}")
                elif data["type"] == "typing" and data["isTyping"]:
                    await show(name, f"({data['username']} 입력 중)")

        @contextlib.asynccontextmanager
        async def chat(name: str) -> AsyncIterator[websockets.ClientConnection]:
            address = self.server.address(f"/chat/general?username={quote(name)}")
            async with websockets.connect(address, proxy=None) as socket:
                receiving = asyncio.create_task(receive(socket, name))
                yield socket
                await socket.close()
                await receiving

        async def say(socket: websockets.ClientConnection, content: str) -> None:
            await socket.send(json.dumps({"type": "message", "content": content}))

        async with chat("민수") as minsu:
            await say(minsu, "아무도 없나요")
            await shown("민수", "민수: 아무도 없나요")
            async with chat("영희") as younghee:
                await shown("민수", "* 영희님이 입장했습니다. (2명)")
                await younghee.send(json.dumps({"type": "typing", "isTyping": True}))
                await shown("민수", "(영희 입력 중)")
                await say(younghee, "안녕하세요")
                await shown("민수", "영희: 안녕하세요")
                await say(minsu, "반가워요")
                await shown("영희", "민수: 반가워요")
            await shown("민수", "* 영희님이 퇴장했습니다. (1명)")
            await say(minsu, "벌써 갔네")
            await shown("민수", "민수: 벌써 갔네")
            async with chat("영희"):
                await shown("영희", "민수: 벌써 갔네")

        self.assertEqual(
            screens["영희"],
            ["민수: 아무도 없나요", "영희: 안녕하세요", "민수: 반가워요"]
            + ["민수: 아무도 없나요", "영희: 안녕하세요", "민수: 반가워요", "민수: 벌써 갔네"],
        )
        self.assertEqual(
            screens["민수"][:8],
            [
                "민수: 아무도 없나요",
                "* 영희님이 입장했습니다. (2명)",
                "(영희 입력 중)",
                "영희: 안녕하세요",
                "민수: 반가워요",
                "* 영희님이 퇴장했습니다. (1명)",
                "민수: 벌써 갔네",
                "* 영희님이 입장했습니다. (2명)",
            ],
        )


if __name__ == "__main__":
    unittest.main()

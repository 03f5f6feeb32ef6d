#!/bin/sh
# Says something, reads what was said, and waits for what comes next: sh curl.sh [server] [room]
# The room is given as it stands in an address: %EB%B0%A9 rather than 방.
set -eu
messages="${1:-http://127.0.0.1:8765}/api/v1/rooms/${2:-general}/messages"

# The same key sent again is still one message.
curl --fail --silent --show-error "$messages" -H "Idempotency-Key: hello-1" -d '{"username":"curl","content":"hello"}'
echo
curl --fail --silent --show-error "$messages?limit=10"
echo
# The newest number is the cursor; this answers when somebody speaks, or after the seconds of `wait`.
head=$(curl --fail --silent --show-error "$messages?limit=1" | sed 's/.*"head":\([0-9]*\).*/\1/')
curl --fail --silent --show-error "$messages?after=$head&wait=${WAIT:-30}"
echo

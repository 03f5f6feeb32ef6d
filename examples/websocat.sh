#!/bin/sh
# Says something over a WebSocket and prints what comes: sh websocat.sh [server] [room]. WEBSOCAT names the program.
set -eu
echo '{"content":"hello"}' | "${WEBSOCAT:-websocat}" -n "${1:-ws://127.0.0.1:8765}/chat/${2:-general}?username=websocat"

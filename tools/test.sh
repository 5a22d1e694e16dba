#!/bin/sh
# The whole suite: tests that share nothing in parallel; real containers one by one, as root and beside that as a fresh ordinary user.
# The user's run has a network of its own for the host's, so that fixed ports do not meet. Ends with one line that sums up all runs.
set -u
cd "$(dirname "$0")/.."
mkdir -p .pytest_cache
out=.pytest_cache
rm -f "$out"/*.xml
.venv/bin/pytest -q -n 2 -m 'not root' --junitxml="$out/plain.xml" tests; plain=$?
.venv/bin/python -m tests.support.as_user "$out/commands.xml" "$out/library.xml" >"$out/user.log" 2>&1 &
user=$!
.venv/bin/pytest -q -m root --junitxml="$out/root.xml" tests; root=$?
wait "$user"; user=$?
echo
echo "As an ordinary user:"
cat "$out/user.log"
.venv/bin/python tools/summary.py "$out/plain.xml" "$out/root.xml" "$out/commands.xml" "$out/library.xml"
[ "$plain" = 0 ] && [ "$root" = 0 ] && [ "$user" = 0 ]

#!/bin/sh
# The whole suite in one pytest run per kind: parallel where tests share nothing, one by one where they create namespaces, and once more
# as a fresh ordinary user (tests/support/as_user.py says which of them). Ends with one line that sums up all runs.
set -u
cd "$(dirname "$0")/.."
mkdir -p .pytest_cache
.venv/bin/pytest -q -n 2 -m 'not root' --junitxml=.pytest_cache/plain.xml tests; plain=$?
.venv/bin/pytest -q -m root --junitxml=.pytest_cache/root.xml tests; root=$?
.venv/bin/python -m tests.support.as_user all .pytest_cache; user=$?
.venv/bin/python tools/summary.py .pytest_cache/plain.xml .pytest_cache/root.xml .pytest_cache/commands.xml .pytest_cache/library.xml
[ "$plain" = 0 ] && [ "$root" = 0 ] && [ "$user" = 0 ]

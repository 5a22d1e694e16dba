#!/bin/sh
# The whole suite in one pytest run per kind: parallel where tests share nothing, one by one where they create namespaces.
# Ends with one line that sums up both runs.
set -u
cd "$(dirname "$0")/.."
mkdir -p .pytest_cache
.venv/bin/pytest -q -n 2 -m 'not root' --junitxml=.pytest_cache/plain.xml tests; plain=$?
.venv/bin/pytest -q -m root --junitxml=.pytest_cache/root.xml tests; root=$?
.venv/bin/python tools/summary.py .pytest_cache/plain.xml .pytest_cache/root.xml
[ "$plain" = 0 ] && [ "$root" = 0 ]

#!/bin/sh
# The whole suite in one pytest run per kind: parallel where tests share nothing, then one by one where they create namespaces, as root and
# beside that once more as a fresh ordinary user with a network of its own (tests/support/as_user.py says which of them; docs/decisions/0021).
# Ends with one line that sums up all runs.
# At most three failed tests with real containers a run get a second try by themselves, and the closing lines name them (docs/decisions/0020).
set -u
cd "$(dirname "$0")/.."
out=.pytest_cache
mkdir -p $out
rm -f $out/*-again.*
.venv/bin/pytest -q -n 2 -m 'not root' --junitxml=$out/plain.xml tests; plain=$?
.venv/bin/python -m tests.support.as_user all $out > $out/user.log 2>&1 &
as_user=$!
.venv/bin/pytest -q -m root --junitxml=$out/root.xml tests; root=$?
if [ "$root" = 1 ] && .venv/bin/python -m tests.support.again $out/root.xml; then
    .venv/bin/pytest -q -m root --junitxml=$out/root-again.xml @$out/root-again.txt; root=$?
fi
wait $as_user; user=$?
echo "as an ordinary user:"
cat $out/user.log
.venv/bin/python tools/summary.py $out/plain.xml $out/root.xml $out/commands.xml $out/library.xml
[ "$plain" = 0 ] && [ "$root" = 0 ] && [ "$user" = 0 ]

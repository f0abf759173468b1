#!/bin/sh
# conformance says by its exit code and last line what happened: conformance_test.sh PATH_TO_CONFORMANCE
set -eu
conformance=$1
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
trap 'exit 1' INT TERM
status=0

# expect NAME JSON EXIT_CODE LAST_LINE
expect() {
  printf '%s' "$2" >"$directory/vectors.json"
  code=0
  output=$("$conformance" "$directory/vectors.json" 2>&1) || code=$?
  last=$(printf '%s\n' "$output" | tail -n 1)
  if [ "$code" != "$3" ] || [ "$last" != "$4" ]; then
    printf 'FAILED %s: exit %s, expected %s; output:\n%s\n' "$1" "$code" "$3" "$output"
    status=1
  fi
}

right='{"dialect": "cilium", "pattern": "*.a.io", "name": "b.a.io", "match": true}'
wrong='{"dialect": "npep133", "pattern": "*.a.io", "name": "b.a.io", "match": false}'
valid='{"dialect": "native", "field": "host", "pattern": "**.a.io", "valid": true}'
invalid='{"dialect": "native", "pattern": "a**.io", "valid": true}'
unknown='{"dialect": "klingon", "pattern": "a.io", "name": "a.io", "match": true}'

expect 'all pass' "{\"match\": [$right], \"validity\": [$valid]}" 0 '2 passed, 0 failed'
expect 'a match fails' "{\"match\": [$right, $wrong]}" 1 '1 passed, 1 failed'
expect 'a validity fails' "{\"validity\": [$valid, $invalid]}" 1 '1 passed, 1 failed'
expect 'unknown dialect' "{\"match\": [$right, $unknown]}" 2 '0 passed, 0 failed'
expect 'unknown field' '{"validity": [{"dialect": "cilium", "field": "x", "pattern": "a", "valid": true}]}' 2 '0 passed, 0 failed'
expect 'missing result' '{"match": [{"dialect": "cilium", "pattern": "a", "name": "a"}]}' 2 '0 passed, 0 failed'
expect 'not JSON' '{"match": [' 2 '0 passed, 0 failed'
expect 'no entries' '{"match": []}' 2 '0 passed, 0 failed'
expect 'unknown kind' '{"vectors": []}' 2 '0 passed, 0 failed'

spin='{"id": "a", "kind": "parse_ok", "allowed": ["http://a"]}'
wrong_spin='{"id": "b", "kind": "allows", "allowed": ["http://a"], "target": "http://b"}'
older_spin='{"id": "c", "kind": "parse_ok", "allowed": ["a:80"], "origin": "test (superseded)"}'
expect 'Spin, all pass' "{\"vectors\": [$spin]}" 0 '1 passed, 0 failed'
expect 'Spin, one fails' "{\"vectors\": [$spin, $wrong_spin]}" 1 '1 passed, 1 failed'
expect 'Spin, a record of an older one' "{\"vectors\": [$spin, $older_spin]}" 0 '2 passed, 0 failed'
expect 'Spin, unknown kind' "{\"vectors\": [$spin, {\"kind\": \"x\"}]}" 2 '0 passed, 0 failed'
expect 'Spin, unknown operation' '{"vectors": [{"kind": "socket_denies", "op": "x", "target": "1.2.3.4:5"}]}' 2 '0 passed, 0 failed'

code=0
"$conformance" "$directory/absent.json" >/dev/null 2>&1 || code=$?
[ "$code" = 2 ] || { echo "FAILED absent file: exit $code"; status=1; }
code=0
"$conformance" "$directory" >/dev/null 2>&1 || code=$?
[ "$code" = 2 ] || { echo "FAILED directory: exit $code"; status=1; }

printf '{"match": [%s]}' "$wrong" >"$directory/vectors.json"
"$conformance" "$directory/vectors.json" | grep -q 'expected false, got true.*\*\.a\.io' || {
  echo 'FAILED: a failing entry is not printed with what was expected and got'
  status=1
}
printf '{"vectors": [%s]}' "$older_spin" >"$directory/vectors.json"
"$conformance" "$directory/vectors.json" | grep -q 'note: superseded, `main` says parse_error' || {
  echo 'FAILED: what an older Spin said is not told apart'
  status=1
}
exit $status

#!/bin/sh
# The main job on a patch from 2019's review of userfaultfd write protection: finds its bug, and replays the repro.
set -eu
cd "$(dirname "$0")/.."

OUT=findings/demo
run() {
	echo "\$ faultline $*"
	status=0
	.venv/bin/faultline "$@" || status=$?
	[ $status = 1 ] || { echo "demo: exit status $status instead of 1 (a finding)" >&2; exit 3; }
}

rm -rf $OUT
run check --patch corpora/thread/t5.cocci --seed 1 --programs 200 --out $OUT
echo
echo "\$ faultline report $OUT"
.venv/bin/faultline report $OUT
for repro in "$OUT"/*.repro; do
	[ -f "$repro" ] || { echo "demo: the check left no repro in $OUT" >&2; exit 3; }
	run replay "$repro"
done

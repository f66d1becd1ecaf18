#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# On a machine with a GPU and a built checkout (npm run setup; no network is needed after it): the conformance kit,
# compute-sanitizer where it is installed, and the bench; writes docs/results/cuda-DEVICE.md. Ends with 1 when a rule is
# broken. Where there is no GPU it says so and writes nothing.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
cd "$root"
plugin=plugins/cuda/build/libaxle_cuda.so
axle() { node cli/dist/main.js "$@"; }

if ! command -v nvidia-smi >/dev/null || ! nvidia-smi -L >/dev/null 2>&1; then
  echo "not yet run on hardware: nvidia-smi shows no GPU" >&2
  exit 2
fi
if [ ! -e "$plugin" ]; then
  echo "$plugin is not built; run npm run setup" >&2
  exit 2
fi

query() { nvidia-smi --query-gpu="$1" --format=csv,noheader -i 0; }
device=$(query name | tr -c 'A-Za-z0-9\n' '-')
page=docs/results/cuda-$device.md
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
broken=0

axle plugin check "$plugin" --timeout 120 --model axle/models/mlp --model axle/models/glyphs \
  >"$logs/conformance" 2>&1 || broken=1

if command -v compute-sanitizer >/dev/null; then
  for tool in memcheck racecheck synccheck initcheck; do
    echo "== $tool"
    compute-sanitizer --tool "$tool" --target-processes all --error-exitcode 1 \
      node cli/dist/main.js plugin check "$plugin" --timeout 600 --oracle none \
      --rule runs --rule scatter --rule batch --rule model-twice 2>&1 | tail -n 5 || broken=1
  done >"$logs/sanitizer"
else
  echo "compute-sanitizer is not installed: not run" >"$logs/sanitizer"
fi

npm run -s bench -- cuda >"$logs/bench" 2>&1 || broken=1

mkdir -p docs/results
{
  echo "# CUDA plugin on $(query name)"
  echo
  echo "By \`plugins/cuda/device-test.sh\`, $(date -u +%Y-%m-%d), commit $(git rev-parse --short HEAD)."
  echo
  echo "| driver | memory | SM clock (now, most) | memory clock (now, most) |"
  echo "| --- | --- | --- | --- |"
  query driver_version,memory.total,clocks.sm,clocks.max.sm,clocks.mem,clocks.max.mem |
    awk -F', ' '{ print "| " $1 " | " $2 " | " $3 ", " $4 " | " $5 ", " $6 " |" }'
  for part in conformance sanitizer bench; do
    echo
    echo "## $part"
    echo
    echo '```'
    cat "$logs/$part"
    echo '```'
  done
} >"$page"
echo "wrote $page"
exit "$broken"

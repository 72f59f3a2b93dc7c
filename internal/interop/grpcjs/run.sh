#!/usr/bin/env bash
# Installs the pinned npm packages beside this file and runs the test with them.
set -euo pipefail
cd "$(dirname "$0")"
for tool in node npm go; do
  command -v "$tool" >/dev/null || {
    echo "run.sh: $tool is not installed (on Debian: apt-get install nodejs npm)" >&2
    exit 1
  }
done
npm ci --ignore-scripts --no-audit --no-fund
EVENKEEL_INTEROP=grpcjs go test -count=1 -v .

#!/bin/sh
# Builds dist/ from the sources and the lockfile; the result is committed, and the same anywhere.
set -eu
cd "$(dirname "$0")"
npm ci --ignore-scripts
npm run build
npm run build:worker
npm run budget

#!/usr/bin/env bash
set -Eeuo pipefail
if [ "${1:-}" = serve ]; then
  shift
  cd "$BENTO_PATH/src"
  set -- uvicorn service:app --host 0.0.0.0 --port 3000 "$@"
fi
exec "$@"

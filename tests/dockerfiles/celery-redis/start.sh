#!/bin/bash
set -o errexit
set -o nounset
redis-server --port 6379 --dir /tmp --save '' --daemonize yes >/dev/null
until redis-cli ping >/dev/null 2>&1; do sleep 0.2; done
celery -A tasks worker --concurrency 1 --loglevel ERROR &
python -c "from tasks import score; print('result', score.delay(21).get(timeout=60))"
kill %1 && wait || true

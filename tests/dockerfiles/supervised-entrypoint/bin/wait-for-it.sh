#!/bin/bash
# wait-for-it.sh HOST PORT
for _ in $(seq 1 $((WAIT_TIMEOUT * 10))); do
  (exec 3<>"/dev/tcp/$1/$2") 2>/dev/null && exit 0
  sleep 0.1
done
exit 1

#!/bin/bash
set -m
trap 'kill $(jobs -p); wait' TERM INT
su worker -s /bin/sh -c 'exec python3 worker.py' &
wait-for-it.sh 127.0.0.1 9100
su gateway -s /bin/sh -c 'exec python3 gateway.py' &
wait -n
exit $?

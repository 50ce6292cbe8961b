#!/bin/bash
set -e
for file in /opt/nvidia/entrypoint.d/*; do
  case "$file" in *.sh) source "$file" ;; esac
done
exec "$@"

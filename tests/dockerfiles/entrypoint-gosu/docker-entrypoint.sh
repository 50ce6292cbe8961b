#!/bin/sh
set -e
if [ "$1" = 'serve' ] && [ "$(id -u)" = '0' ]; then
	find . \! -user redisai -exec chown redisai '{}' +
	exec gosu redisai "$0" "$@"
fi
if [ "$1" = 'serve' ]; then
	echo ready > /data/state
	echo "serving as $(id -un) in $(pwd), state by $(stat -c %U /data/state)"
	exit 0
fi
exec "$@"

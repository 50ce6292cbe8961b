#!/usr/bin/env bash
set -exuo pipefail
BASEDIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
pip install --no-warn-script-location -r "$BASEDIR/requirements.txt"

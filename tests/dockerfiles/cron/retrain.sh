#!/bin/sh
echo "retrained at $(date)"

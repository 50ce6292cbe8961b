FROM --platform=linux/amd64 scratch AS a
FROM --platform=$TARGETPLATFORM scratch AS b
FROM --platform=${TARGETPLATFORM} scratch AS c
FROM --platform=$BUILDPLATFORM scratch AS d
FROM --platform=linux/arm64 scratch AS for-arm64
FROM --platform=linux/arm64 scratch AS onlinux
FROM --platform=amd64 scratch

ARG REGISTRY
ARG NAME=scratch
FROM ${REGISTRY}${NAME} AS a
FROM ${REGISTRY:-}${NAMES}scratch AS b
FROM --platform=linux/${ARCHI}amd64 scratch AS amd64

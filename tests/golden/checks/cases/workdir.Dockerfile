ARG D=/x
FROM scratch AS a
WORKDIR a
WORKDIR b
FROM a AS b
WORKDIR c
FROM scratch AS c
ARG D=/x
WORKDIR $D
WORKDIR y
FROM scratch AS d
ARG D
WORKDIR $E/a
FROM scratch
WORKDIR \
  a\
b

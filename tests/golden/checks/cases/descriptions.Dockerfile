# check=experimental=all
# foo comes

FROM scratch AS a
# foo comes
#
FROM scratch AS b
# foo comes
RUN true
FROM scratch AS d
# X bad
# Y good
ARG Y=1
# Y good
# X bad
ARG Y=1
# wrong
ARG Y=1 X=2
# unnamed
FROM scratch

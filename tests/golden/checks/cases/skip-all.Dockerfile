# check=skip=all
FROM scratch AS A
WORKDIR a
CMD b
maintainer x

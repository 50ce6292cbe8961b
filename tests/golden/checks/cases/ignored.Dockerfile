# check=experimental=CopyIgnoredFile
FROM scratch AS first
FROM scratch
COPY a.txt b.md dir/x.txt /
ADD dir/a.txt dir/x.txt /
COPY --from=first a.txt /
COPY . /
COPY sub/deep/b sub /
COPY <<a.txt /
a.txt

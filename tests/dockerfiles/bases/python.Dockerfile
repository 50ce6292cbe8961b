# What Debian's Python lacks of the official image: it is below /usr/local, too.
FROM python-packages
RUN ln -s dist-packages /usr/local/lib/python3.11/site-packages \
 && for name in python3 python pip pip3; do ln -sf /usr/bin/$name /usr/local/bin/$name; done
ENV LANG=C.UTF-8

# For engines that do not lend steps the certificates that this machine trusts.
ARG BASE
FROM ${BASE}
COPY trusted.pem /etc/ssl/trusted.pem
ENV PIP_CERT=/etc/ssl/trusted.pem \
    SSL_CERT_FILE=/etc/ssl/trusted.pem \
    REQUESTS_CA_BUNDLE=/etc/ssl/trusted.pem \
    NODE_EXTRA_CA_CERTS=/etc/ssl/trusted.pem

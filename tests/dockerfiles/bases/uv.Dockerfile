FROM python:3.11-slim AS wheel
RUN pip install --no-cache-dir --target /wheel uv==0.5.11
FROM scratch
COPY --from=wheel /wheel/bin/uv /wheel/bin/uvx /

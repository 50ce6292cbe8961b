# Compiling all modules takes longer than installing them.
FROM debian:12-slim
ENV PIP_COMPILE=0 PYTHONDONTWRITEBYTECODE=1

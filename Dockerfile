# The image of the service: the locked packages and this project's wheel, run by an unprivileged user. `docker build -t todo:0.1.0 .`
# To pin the base image, add its digest to the tag: docs/operations.md, Deploying.
ARG PYTHON_IMAGE=python:3.11.14-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
RUN python -m venv /opt/todo
COPY requirements.txt /build/
RUN /opt/todo/bin/pip install --no-cache-dir --require-hashes --requirement /build/requirements.txt
COPY pyproject.toml README.md LICENSE /build/
COPY src /build/src
COPY migrations /build/migrations
RUN /opt/todo/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /build/wheel /build
RUN /opt/todo/bin/pip install --no-cache-dir --no-deps /build/wheel/todo-*.whl

FROM ${PYTHON_IMAGE}
RUN useradd --uid 10001 --create-home --home-dir /data --shell /usr/sbin/nologin todo
COPY --from=build /opt/todo /opt/todo
ENV PATH=/opt/todo/bin:$PATH PYTHONUNBUFFERED=1 TODO_HOST=0.0.0.0 TODO_LOG_FORMAT=json
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as u; port = os.environ.get('TODO_PORT') or os.environ.get('PORT') or 8000; u.urlopen(f'http://127.0.0.1:{port}/health/ready', timeout=4)"]
ENTRYPOINT ["todo"]
CMD ["serve"]

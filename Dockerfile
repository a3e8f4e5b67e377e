# The service as an image: the locked packages and our wheel, run by a user without rights. `docker build -t todo .`
FROM python:3.11-slim-bookworm AS build
RUN python -m venv /opt/todo
COPY requirements.txt /build/
RUN /opt/todo/bin/pip install --no-cache-dir --require-hashes --requirement /build/requirements.txt
COPY pyproject.toml README.md LICENSE /build/
COPY src /build/src
COPY migrations /build/migrations
RUN /opt/todo/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /build/wheel /build
RUN /opt/todo/bin/pip install --no-cache-dir --no-deps /build/wheel/todo-*.whl

FROM python:3.11-slim-bookworm
RUN useradd --uid 10001 --create-home --home-dir /data --shell /usr/sbin/nologin todo
COPY --from=build /opt/todo /opt/todo
ENV PATH=/opt/todo/bin:$PATH PYTHONUNBUFFERED=1 TODO_HOST=0.0.0.0 TODO_LOG_FORMAT=json
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/health/ready', timeout=4)"]
ENTRYPOINT ["todo"]
CMD ["serve"]

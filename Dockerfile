# The API in a container: `docker build --tag todo-backend .`; see deploy/README.md.

FROM python:3.13-slim-trixie AS python

FROM python AS packages
# requirements-otel.lock adds OpenTelemetry.
ARG LOCK=requirements.lock
COPY ${LOCK} /tmp/
# Wheels only: nothing is compiled, and no package's own build script runs.
RUN python -m venv --without-pip /opt/venv \
 && pip --python /opt/venv/bin/python install --no-cache-dir --require-hashes --only-binary :all: \
    --requirement /tmp/${LOCK}

FROM python
RUN useradd --system --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin todo \
 && install --directory --owner todo --group todo /data
COPY --from=packages /opt/venv /opt/venv
WORKDIR /app
COPY app.py setting_parsers.py settings.py ./
COPY openapi/todo.yaml openapi/
COPY cli/ cli/
COPY contract/ contract/
COPY handlers/ handlers/
COPY observability/ observability/
COPY persistence/ persistence/
COPY security/ security/
COPY server/ server/
# Now: the server may not write here, and would compile everything anew at each start.
RUN python -m compileall -q .
ENV PATH=/opt/venv/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONUNBUFFERED=1 \
    DATABASE_URL=sqlite:////data/todo.db \
    HOST=0.0.0.0 \
    PORT=8000 \
    PUBLIC_URL=http://127.0.0.1:8000
# A number: Kubernetes can tell only of those that they are not root.
USER 10001:10001
VOLUME /data
EXPOSE 8000
# Whether it lives, not whether it is ready: a database that is away is no reason to start the API anew.
# And never through a proxy, which HTTP_PROXY would ask for even here.
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as u; u.build_opener(u.ProxyHandler({})).open('http://127.0.0.1:' + os.environ['PORT'] + '/health/live')"]
# A list, so that no shell stands between `docker stop` and the server.
CMD ["python", "-m", "cli", "serve"]

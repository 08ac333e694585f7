# The API in a container: `docker build --tag todo-backend .`; see deploy/README.md.

FROM python:3.13-slim-trixie AS python

FROM python AS packages
# requirements-otel.lock adds OpenTelemetry.
ARG LOCK=requirements.lock
COPY ${LOCK} /tmp/
# Only wheels, so that nothing is compiled and no build script of a package runs.
RUN python -m venv --without-pip /opt/venv \
 && pip --python /opt/venv/bin/python install --no-cache-dir --require-hashes --only-binary :all: \
    --requirement /tmp/${LOCK}

FROM python
# Group 0 may write to /data, because OpenShift runs the image with an arbitrary user id and group 0.
RUN groupadd --system --gid 10001 todo \
 && useradd --system --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin todo \
 && install --directory --owner todo --group root --mode 770 /data
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
# Compile now, because the server cannot write here and would compile everything at each start.
RUN python -m compileall -q .
ENV PATH=/opt/venv/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONUNBUFFERED=1 \
    DATABASE_URL=sqlite:////data/todo.db \
    HOST=0.0.0.0 \
    PORT=8000 \
    PUBLIC_URL=http://127.0.0.1:8000
# A number, because Kubernetes cannot verify that a name is not root.
USER 10001:10001
EXPOSE 8000
# Liveness and not readiness, because an unreachable database is no reason to restart the API.
# Without a proxy, even if HTTP_PROXY is set.
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as u; u.build_opener(u.ProxyHandler({})).open('http://127.0.0.1:' + os.environ['PORT'] + '/health/live')"]
# A list, so that the server and not a shell receives the SIGTERM of `docker stop`.
CMD ["python", "-m", "cli", "serve"]

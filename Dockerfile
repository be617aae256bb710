FROM python:3.11-slim AS build
WORKDIR /src
RUN python -m venv /venv
COPY requirements.lock ./
RUN /venv/bin/pip install --no-cache-dir --no-deps --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY bot bot
RUN /venv/bin/pip install --no-cache-dir --no-deps . && /venv/bin/pip check

FROM python:3.11-slim
RUN useradd --system --uid 10001 auth0-check && install --directory --owner 10001 --mode 700 /data
COPY --from=build /venv /venv
# slack_bolt is not imported without a home, which a uid of `docker run --user` does not have.
ENV PATH=/venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1 HOME=/data
USER 10001
# The default database lies in the working directory.
WORKDIR /data
VOLUME /data
HEALTHCHECK --start-period=30s --timeout=5s CMD ["python", "-c", "\
import http.client as c; h = c.HTTPConnection('127.0.0.1', 8470, timeout=4); \
h.request('GET', '/livez'); raise SystemExit(h.getresponse().status != 200)"]
ENTRYPOINT ["auth0-check"]
CMD ["run"]

# Built in two stages: the second has no compiler, no pip cache, no secret, and runs as a user that owns only its home.
FROM python:3.11-slim-bookworm AS build
WORKDIR /build
COPY requirements/runtime.txt requirements/runtime.txt
RUN python -m venv /opt/archiver \
    && /opt/archiver/bin/pip install --no-cache-dir --no-deps --require-hashes -r requirements/runtime.txt
COPY pyproject.toml README.md README.zh.md LICENSE ./
COPY archiver archiver
COPY ingest ingest
COPY retention retention
COPY api api
COPY config config
RUN /opt/archiver/bin/pip install --no-cache-dir --no-deps .

FROM python:3.11-slim-bookworm
RUN apt-get update \
    && apt-get install -y --no-install-recommends ffmpeg openssl \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /var/lib/archiver --create-home archiver
COPY --from=build /opt/archiver /opt/archiver
ENV PATH=/opt/archiver/bin:$PATH ARCHIVER_HOME=/var/lib/archiver
USER 10001
VOLUME /var/lib/archiver
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=5s CMD ["archiver", "doctor", "--json"]
ENTRYPOINT ["archiver"]
CMD ["up"]

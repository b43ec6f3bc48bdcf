# rolecall and pytest, for a project that is mounted at /project: see docs/ci.md.
FROM python:3.13-slim AS build
WORKDIR /source
RUN python -m venv /opt/rolecall
ENV PATH="/opt/rolecall/bin:$PATH"
# The packages first: they change less often than the source.
COPY requirements.lock ./
RUN pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY src ./src
RUN pip wheel --no-cache-dir --disable-pip-version-check --no-deps --no-build-isolation -w wheels . \
    && pip install --no-cache-dir --disable-pip-version-check --no-deps wheels/*.whl

FROM python:3.13-slim
COPY --from=build /opt/rolecall /opt/rolecall
# The project is mounted read-only, and the container is thrown away: there is nothing to keep for the next run.
ENV PATH="/opt/rolecall/bin:$PATH" \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTEST_ADDOPTS="-p no:cacheprovider" \
    ROLECALL_CACHE_DIR=off
# PostgreSQL does not start as root, nor as a user without a name.
RUN useradd --create-home rolecall
USER rolecall
WORKDIR /project
CMD ["pytest"]

# The operator's image. Any base with Python 3.11 or newer, its venv module and CA certificates serves as BASE_IMAGE.
ARG BASE_IMAGE=python:3.13-slim

# Dependencies make a layer of their own: most builds change the project alone.
FROM ${BASE_IMAGE} AS dependencies
# UV_SYSTEM_CERTS: trust what the base trusts, so that a base with a company's own authority works.
# Byte code is compiled here because the root file system is read-only later.
ENV UV_PROJECT_ENVIRONMENT=/opt/poolbudget \
    UV_PYTHON_DOWNLOADS=never \
    UV_COMPILE_BYTECODE=1 \
    UV_LINK_MODE=copy \
    UV_NO_CACHE=1 \
    UV_SYSTEM_CERTS=true
RUN python3 -m venv /opt/uv && /opt/uv/bin/pip install --no-cache-dir uv==0.13.8
WORKDIR /src
COPY pyproject.toml uv.lock ./
RUN /opt/uv/bin/uv sync --locked --no-dev --no-install-project

FROM dependencies AS project
COPY README.md LICENSE ./
COPY operator operator
RUN /opt/uv/bin/uv pip install --python /opt/poolbudget/bin/python --prefix /opt/project --no-deps .

FROM ${BASE_IMAGE}
COPY --from=dependencies /opt/poolbudget /opt/poolbudget
COPY --from=project /opt/project /opt/poolbudget
ENV PATH=/opt/poolbudget/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
USER 65532:65532
ENTRYPOINT ["poolbudget"]

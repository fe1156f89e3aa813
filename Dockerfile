# Two stages: pip works in the first one only. FROM to COPY, what changes least stands first.
FROM python:3.13-slim AS builder

# What the service needs, in a layer that stays as long as these two files do. psycopg comes along for ROOKIE_DATABASE_URL.
WORKDIR /build
COPY pyproject.toml constraints.txt ./
RUN python -c "import tomllib; p = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
               print(*p['dependencies'], *p['optional-dependencies']['postgres'], sep='\n')" > requirements.txt \
    && python -m venv --without-pip /opt/venv \
    && pip --python /opt/venv/bin/python install --no-cache-dir --disable-pip-version-check -c constraints.txt -r requirements.txt

# What is never asked for: the packages' own tests, stubs and sources, a compiler's front end, other databases, AVIF and fonts in pictures.
RUN cd /opt/venv/lib/python3*/site-packages \
    && find . -type d -name tests -prune -exec rm -r {} + \
    && find . -regex '.*\.\(pyi\|pyx\|pxd\|c\|h\|a\)' -delete \
    && rm -r numpy/f2py sqlalchemy/testing sqlalchemy/dialects/mssql sqlalchemy/dialects/mysql sqlalchemy/dialects/oracle \
        PIL/_avif.* PIL/_imagingft.* pillow.libs/libavif-* pillow.libs/libfreetype-* pillow.libs/libharfbuzz-*

# The code, compiled here because it runs on a read-only disk (unchecked: no file date can make that stale), and readable by all users,
# whatever the umask of the checkout was.
WORKDIR /srv/rookie
COPY weights weights
COPY model_core model_core
COPY app app
RUN python -m compileall -q --invalidation-mode unchecked-hash app model_core && chmod -R a+rX .


FROM python:3.13-slim

LABEL org.opencontainers.image.title="Rookie" \
      org.opencontainers.image.description="A three-layer neural network in NumPy, and the service that trains, serves and shows it" \
      org.opencontainers.image.licenses="MIT"

# Nothing is installed from here on.
RUN rm -r "$(python -c 'import ensurepip; print(ensurepip.__path__[0])')" "$(python -c 'import pip; print(pip.__path__[0])')"* /usr/local/bin/pip*

# A fixed number, so that the owner of a volume stays the same from build to build.
RUN groupadd --gid 10001 rookie \
    && useradd --uid 10001 --gid rookie --no-create-home --home-dir /var/lib/rookie --shell /usr/sbin/nologin rookie \
    && install -d -o rookie -g rookie -m 0750 /var/lib/rookie /var/lib/rookie/data

COPY --from=builder /opt/venv /opt/venv
COPY --from=builder /srv/rookie /srv/rookie

ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    ROOKIE_HOST=0.0.0.0 \
    ROOKIE_STATE_DIR=/var/lib/rookie \
    ROOKIE_DATA_DIR=/var/lib/rookie/data

WORKDIR /srv/rookie
USER rookie
VOLUME /var/lib/rookie
EXPOSE 8000

# http.client rather than urllib, which would ask a proxy for 127.0.0.1 where one is set.
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s --retries=3 CMD ["python", "-c", "import http.client, os, sys; \
    connection = http.client.HTTPConnection('127.0.0.1', int(os.environ.get('ROOKIE_PORT') or 8000), timeout=2); \
    connection.request('GET', '/readyz', headers={'Authorization': 'Bearer ' + os.environ.get('ROOKIE_TOKEN', '')}); sys.exit(connection.getresponse().status != 200)"]

# The service refuses to start on 0.0.0.0 unless ROOKIE_TOKEN is set, or ROOKIE_PUBLISHED_ON_LOOPBACK=1 as in docker-compose.yml.
CMD ["python", "-m", "app"]

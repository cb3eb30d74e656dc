# One image for every service: web, workers, reconciler. docker-compose.yml names the commands.
FROM python:3.11-slim-bookworm

RUN useradd --create-home --uid 10001 sparseboard
WORKDIR /srv/sparseboard
# What is fetched from the hub and exported from ir_datasets stays in the volume, or every start would fetch it again.
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 SPARSEBOARD_VAR=/var/lib/sparseboard \
    SPARSEBOARD_CACHE=/var/lib/sparseboard/collections HF_HOME=/var/lib/sparseboard/hub \
    SPARSEBOARD_HOST_LOCKS=/var/lib/sparseboard-host

# TORCH_INDEX picks the build: the CPU index by default, a CUDA index for GPU hosts. torch is not in the lock,
# because its build differs by machine.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
RUN pip install --no-cache-dir --index-url "$TORCH_INDEX" torch==2.13.0
COPY requirements/run.txt requirements/run.txt
RUN pip install --no-cache-dir --require-hashes --no-deps -r requirements/run.txt

# pyproject.toml names the version, which results and checks are kept with.
COPY manage.py pyproject.toml ./
COPY evaluations evaluations
COPY leaderboard leaderboard
COPY workers workers
COPY templates templates
COPY static static
# Static files are part of the image, so that any number of web containers serves the same ones.
ENV SPARSEBOARD_STATIC_ROOT=/srv/sparseboard/collected
RUN SPARSEBOARD_VAR=/tmp/build python manage.py collectstatic --noinput --verbosity 0 \
    && rm -rf /tmp/build && install -d -o sparseboard /var/lib/sparseboard && install -d -m 1777 /var/lib/sparseboard-host

USER sparseboard
VOLUME /var/lib/sparseboard
EXPOSE 8000
CMD ["gunicorn", "leaderboard.wsgi", "--bind", "0.0.0.0:8000", "--workers", "2", "--threads", "4", "--no-control-socket", "--access-logfile", "-"]

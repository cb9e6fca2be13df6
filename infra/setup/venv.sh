#!/usr/bin/env bash
# Makes .venv hold exactly what requirements.lock names, plus this checkout, editable. Does nothing when nothing changed.
set -euo pipefail
cd "$(dirname "$0")/../.."
stamp=.venv/.ready
want=$(cat requirements.lock pyproject.toml api/client/pyproject.toml infra/setup/venv.sh | sha256sum | cut -c1-64)
[ -f "$stamp" ] && [ "$(cat "$stamp")" = "$want" ] && exit 0
echo "setting up .venv from requirements.lock (hash-checked; about a minute) · 正在准备运行环境（约一分钟）"
PYTHON=${PYTHON:-python3}
if [ ! -x .venv/bin/python ]; then
  "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null || bash infra/setup/system.sh python3-venv  # Debian keeps it apart
  "$PYTHON" -m venv .venv
fi
pip=(.venv/bin/python -m pip --quiet --disable-pip-version-check install)
if .venv/bin/python -m uv --version >/dev/null 2>&1 || "${pip[@]}" uv >/dev/null 2>&1; then
  install=(.venv/bin/python -m uv pip install --quiet --python .venv/bin/python)
else
  echo "uv is not to be had; using pip · 无法取得 uv，改用 pip"
  install=("${pip[@]}")
fi
"${install[@]}" --no-deps --require-hashes -r requirements.lock  # the lock is whole, overrides included
"${install[@]}" --no-deps --no-build-isolation -e api/client -e .
echo "$want" >"$stamp"

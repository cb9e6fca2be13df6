#!/usr/bin/env bash
# Makes .venv-delta hold exactly what tests/outside/delta.lock names: the official Delta Sharing client, whose pins are older than ours.
set -euo pipefail
cd "$(dirname "$0")/../.."
stamp=.venv-delta/.ready
want=$(sha256sum <tests/outside/delta.lock | cut -c1-64)
[ -f "$stamp" ] && [ "$(cat "$stamp")" = "$want" ] && exit 0
echo "setting up .venv-delta from tests/outside/delta.lock (hash-checked) · 正在准备 Delta Sharing 客户端"
.venv/bin/python -m venv .venv-delta
if .venv/bin/python -m uv --version >/dev/null 2>&1; then
  .venv/bin/python -m uv pip install --quiet --python .venv-delta/bin/python --require-hashes -r tests/outside/delta.lock
else
  .venv-delta/bin/python -m pip --quiet --disable-pip-version-check install --require-hashes -r tests/outside/delta.lock
fi
echo "$want" >"$stamp"

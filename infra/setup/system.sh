#!/usr/bin/env bash
# Debian packages that some targets need: installed when root, else named in one line to paste. Usage: system.sh PACKAGE...
set -euo pipefail
missing=()
for package in "$@"; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0
if [ "$(id -u)" -eq 0 ]; then
  echo "installing ${missing[*]} · 正在安装系统软件包"
  export DEBIAN_FRONTEND=noninteractive
  apt-get -qq update >/dev/null && apt-get -qq install -y --no-install-recommends "${missing[@]}" >/dev/null
else
  echo "needed: sudo apt-get install -y --no-install-recommends ${missing[*]} · 请先执行上述命令" >&2
  exit 1
fi

#!/bin/sh
# Installs this bundle without any network: PREFIX/versions/VERSION, then PREFIX/current is made to point there, in one step.
# Going back to an earlier version is `install.sh --switch VERSION` (docs/deploy/upgrade.md: the register goes back by its backup).
# 离线安装：装入 PREFIX/versions/VERSION，再一步切换 PREFIX/current。
set -eu

usage() {
  echo "usage: install.sh --key RELEASE-KEY.pub.pem [--prefix /opt/yunei] [--python python3.11] [--no-switch]" >&2
  echo "       install.sh --unsigned …       you have compared SHA256SUMS with a copy that came another way" >&2
  echo "       install.sh --switch VERSION   only make an installed version the current one" >&2
  exit 64
}

prefix=/opt/yunei python=python3.11 key='' unsigned='' switch=yes only=''
while [ $# -gt 0 ]; do
  case $1 in
    --prefix) prefix=${2:?}; shift ;;
    --python) python=${2:?}; shift ;;
    --key) key=${2:?}; shift ;;
    --unsigned) unsigned=yes ;;
    --no-switch) switch='' ;;
    --switch) only=${2:?}; shift ;;
    *) usage ;;
  esac
  shift
done

point_to() {
  [ -x "$prefix/versions/$1/bin/yunei" ] || { echo "not installed: $prefix/versions/$1 · 未安装该版本" >&2; exit 66; }
  ln -s "versions/$1" "$prefix/.current.$$"
  mv -T "$prefix/.current.$$" "$prefix/current"
  echo "current is $1 · 当前版本 $1"
}

if [ -n "$only" ]; then
  point_to "$only"
  exit 0
fi

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
cd "$here"
if [ -n "$key" ]; then
  [ -f SHA256SUMS.sig ] || { echo "the bundle is not signed · 安装包未签名" >&2; exit 65; }
  openssl pkeyutl -verify -pubin -inkey "$key" -rawin -in SHA256SUMS -sigfile SHA256SUMS.sig >/dev/null 2>&1 ||
    { echo "the signature is not by this key: nothing was installed · 签名不符，未安装任何内容" >&2; exit 65; }
elif [ -z "$unsigned" ]; then
  usage
fi
sha256sum --quiet --strict -c SHA256SUMS || { echo "a file is not the one that was packed: nothing was installed · 文件被改动，未安装任何内容" >&2; exit 65; }
stray=$(find . -type f ! -name SHA256SUMS ! -name SHA256SUMS.sig | sed 's|^\./||' | sort | while read -r name; do
  grep -qxE "[0-9a-f]{64}  $(printf %s "$name" | sed 's/[][\.*^$+?(){}|]/\\&/g')" SHA256SUMS || echo "$name"
done)
[ -z "$stray" ] || { echo "files that nobody packed: $stray · 多出的文件" >&2; exit 65; }

"$python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { echo "Python 3.11 is needed · 需要 Python 3.11" >&2; exit 69; }
version=$(sha256sum SHA256SUMS | cut -c1-12)
version=$(basename "$here" | sed 's/^yunei-//')-$version
target=$prefix/versions/$version
if [ ! -x "$target/bin/yunei" ]; then
  mkdir -p "$prefix/versions"
  rm -rf "$target"
  trap 'rm -rf "$target"' EXIT
  "$python" -m venv --without-pip "$target"  # in its last place: scripts name their interpreter
  for wheel in wheels/pip-*.whl; do pip=$wheel/pip; done
  set -- --isolated --no-cache-dir --disable-pip-version-check --no-index --find-links wheels --no-deps --require-hashes --only-binary=:all:
  "$target/bin/python" "$pip" install --quiet --no-warn-script-location "$@" -r requirements.txt -r project.txt
  cp -R deploy docs requirements.txt sbom.cdx.json SHA256SUMS "$target/"
  "$target/bin/yunei" --help >/dev/null
  trap - EXIT
fi
echo "installed $target · 已安装"
[ -z "$switch" ] || point_to "$version"

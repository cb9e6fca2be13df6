# `make` alone lists what there is. `make demo` and `make test` set up everything they need.
SHELL := /bin/bash
PY := .venv/bin/python
.DEFAULT_GOAL := help
unexport PYTHONDONTWRITEBYTECODE  # set in some containers: each of a thousand processes would compile the libraries it imports, for five seconds
KINDS := $(sort $(notdir $(patsubst %/,%,$(wildcard tests/*/))))
KINDS := $(filter-out bench deploy mutants soak __pycache__,$(KINDS))

.PHONY: help setup outside demo cluster test left check fix bench mutants attack soak soak-day bundle deploy-test screens lock docs clean $(KINDS:%=test-%)

help:  ## this list · 本列表
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@for k in $(KINDS); do printf '  make %-18s %s\n' test-$$k "only tests/$$k"; done

setup:
	@bash infra/setup/venv.sh

demo: setup  ## the main job on real data, in under a minute · 用真实数据走一遍主流程
	@$(PY) -m api.demo

outside: setup  # Go's verifiers of transparency logs, which a test compiles; what cells are made of; a browser; the Delta Sharing client, in its own environment
	@bash infra/setup/system.sh golang-go golang-golang-x-mod-dev bubblewrap caddy docker.io iptables systemd iproute2 chromium fonts-noto-cjk softhsm2 mariadb-server
	@bash infra/setup/delta.sh

TESTERS ?= 2
SEED ?= 1
test: setup outside  ## all tests, by TESTERS=2 processes, in the order that SEED=1 gives; SEED=last, or any number · 全部测试
	@$(PY) -m tests --testers=$(TESTERS) --seed=$(SEED)

left: setup outside  ## all tests, and whether each file leaves the process as it found it · 各测试文件互不影响
	@$(PY) -m pytest -q -p tests.guard -m alone
	@$(PY) -m pytest -q -p tests.guard -m "not alone"

test-outside test-attack test-unit test-browser test-cluster: outside

$(KINDS:%=test-%): test-%: setup
	@$(PY) -m pytest -q tests/$*

check: setup  ## format, lint, types, import contracts, generated docs: changes nothing · 只检查，不修改
	@$(PY) -m ruff format --check .
	@$(PY) -m ruff check .
	@$(PY) -m mypy
	@cd api/client && ../../$(PY) -m mypy
	@.venv/bin/lint-imports --no-cache
	@$(PY) -m api.reference --check

fix: setup  ## mend what can be mended: format, lint, generated docs · 自动修正
	@$(PY) -m ruff format .
	@$(PY) -m ruff check --fix .
	@$(PY) -m api.reference

mutants: setup  ## take each safeguard of the engine out of a scratch copy and see a test miss it · 变异测试
	@$(PY) -m tests.mutants

bench: setup  ## measurements as ratios, into build/bench.json · 性能测量
	@$(PY) -m tests.bench

TRIALS ?= 10000
attack: setup outside  ## attacks on cells, the whole campaign: every family, TRIALS=10000 of each that is drawn by lot · 攻击单元
	@CAMPAIGN=$(TRIALS) $(PY) -m pytest -q tests/attack/cells

KILLS ?= 20
soak: setup  ## kill servers at random moments under load, KILLS=20 times per database; 300 for a campaign · 随机断电测试
	@$(PY) -m tests.soak --kills $(KILLS)

JOBS ?= 5000
soak-day: setup  ## a day's jobs, JOBS=5000, one after the other through one server: memory, files and folders must not grow · 一天的作业量
	@$(PY) -m tests.soak.day --jobs $(JOBS)

KEY ?=
DEBS ?=
bundle: setup  ## the offline bundle of the last commit into build/bundle, signed with KEY=release-key.pem; DEBS=1: with Debian packages · 离线安装包
	@$(PY) -m infra.deploy.bundle build/bundle --version 0.1.0 $(if $(KEY),--key $(KEY)) $(if $(DEBS),--debs)

deploy-test: setup  ## build the images, run them without rights, install the bundle without a network; root, some ten minutes · 部署验证
	@bash infra/setup/system.sh debootstrap docker.io iptables iproute2 openssl
	@$(PY) -W ignore -m tests.deploy

ROUNDS ?= 2
cluster: setup outside  ## three machines in network namespaces, killed, cut off and healed under load, ROUNDS=2 times · 集群故障演练
	@$(PY) -m tests.cluster --rounds $(ROUNDS)

screens: setup outside  ## people's errands in a real browser, and what they saw into build/screens · 控制台样张
	@$(PY) -m pytest -q tests/browser

lock: setup  ## pin the newest versions that pyproject.toml admits, with hashes, without naming an index
	@$(PY) -m uv pip compile pyproject.toml --all-extras --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	  --no-emit-package yunei-client -o requirements.lock

clean:  ## remove the environment and what was built · 清理
	rm -rf .venv .venv-delta build demo-data

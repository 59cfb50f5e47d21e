# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 OpenAVP contributors
#
# One word per task, in front of meson. `make help` lists them. They take:
#
#   BUILD=folder   build there (default: build, or build-clang with CC=clang)
#   CC=clang       compiler, fixed when the build folder is made
#   T=name         just this test (shell pattern), with its full output;
#                  make lint: just this check
#   J=n            jobs at once
#   DPDK=what      make check-releases, guest-driver: releases (24.11), or a folder
#                  with DPDK's source

ifneq ($(origin CC),default)
export CC
compiler := $(filter-out cc gcc,$(notdir $(CC)))
endif
suffix := $(if $(compiler),-$(compiler))
BUILD ?= build$(suffix)
J ?= $(shell nproc)

# Targets whose build has options of its own have a folder each.
build-asan := build-asan$(suffix)
build-tsan := build-tsan$(suffix)
build-release := build-release$(suffix)
build-coverage := build-coverage$(suffix)

sanitize := -Db_lundef=false -Doptimization=1
# What `make test` needs is there after `make`: one command for root, not two.
setup-lists := build test $(if $(findstring clang,$(compiler)),clang)

# $(call configure,FOLDER,OPTIONS): once; later ninja does it when a meson.build changes. Another
# DPDK than the one configured for shows as a newer note of its headers: forget what was found.
define configure
@test -f $(1)/build.ninja || meson setup $(1) $(2) $(MESON_ARGS)
@test ! .setup/dpdk-driver-include -nt $(1)/build.ninja || meson configure $(1) --clearcache
endef

# $(call build,FOLDER)
build = ninja -j $(J) -C $(1)

# $(call test,FOLDER,SUITES,OPTIONS)
test = devtools/run-tests $(1) --jobs $(J) $(3) $(if $(T),--test '$(T)',$(addprefix --suite ,$(2)))

.PHONY: all
all: setup ## set up and build
	$(call configure,$(BUILD))
	$(call build,$(BUILD))

.PHONY: setup
setup: ## install what building needs, get DPDK's driver headers
	@devtools/setup $(setup-lists)
	@devtools/setup-dpdk-headers

# The demo says how long it took, from here on.
.PHONY: demo
demo: export AVP_DEMO_START := $(shell date +%s)
demo: all ## a VM with two AVP ports carries traffic between two hosts
	@devtools/setup vm
	@BUILD=$(BUILD) vm/demo

.PHONY: demo-migrate
demo-migrate: all ## a VM with traffic through it moves to another node and back
	@devtools/setup netns vm
	@BUILD=$(BUILD) vm/demo-migrate

.PHONY: test
test: all ## unit and port tests: no root, no huge pages, under a minute
	@devtools/setup test
	@$(call test,$(BUILD),unit port)

.PHONY: test-all
test-all: all ## every test but soak: adds netns, hostile, fuzz and vm
	@devtools/setup test netns vm
	@test "$$(id -u)" -ne 0 || devtools/setup-vm
	@$(call test,$(BUILD),unit port netns hostile fuzz vm)

.PHONY: soak
soak: setup ## half an hour of random operations with address and undefined sanitizers
	@devtools/setup test
	$(call configure,$(build-asan),-Db_sanitize=address$(comma)undefined $(sanitize))
	$(call build,$(build-asan))
	@$(call test,$(build-asan),soak)

.PHONY: asan
asan: setup ## unit, port, hostile and fuzz tests with address and undefined sanitizers
	@devtools/setup test
	$(call configure,$(build-asan),-Db_sanitize=address$(comma)undefined $(sanitize))
	$(call build,$(build-asan))
	@$(call test,$(build-asan),unit port hostile fuzz,--slow 3)

# DPDK is not instrumented, which would hide races and invent others: only what links without it.
.PHONY: tsan
tsan: setup ## unit tests of the parts without DPDK with the thread sanitizer
	$(call configure,$(build-tsan),-Db_sanitize=thread $(sanitize))
	$(call build,$(build-tsan))
	@$(call test,$(build-tsan),unit,--without-dpdk --slow 5)

.PHONY: release
release: setup ## unit and port tests of a release build: -O3, no assertions
	@devtools/setup test
	$(call configure,$(build-release),-Dbuildtype=release)
	$(call build,$(build-release))
	@$(call test,$(build-release),unit port)

.PHONY: coverage
coverage: setup ## lines that unit and port tests reach, as text and HTML
	@devtools/setup test coverage
	$(call configure,$(build-coverage),-Db_coverage=true -Doptimization=0)
	$(call build,$(build-coverage))
	-@$(call test,$(build-coverage),unit port)
	gcovr -r . -e tests/ -e bench/ --html-details $(build-coverage)/coverage.html $(build-coverage)

.PHONY: bench
bench: all ## benchmarks: a table and JSON
	@devtools/setup netns bench
	@$(call test,$(BUILD),bench,--verbose --jobs 1)

.PHONY: bench-full
bench-full: all ## all that can be measured of ports and their rivals; takes long
	@devtools/setup netns bench
	bench/ports/run.py --program $(BUILD)/bench/bench_ports --plan full \
		--plugin $(BUILD)/drivers/net/avp/librte_net_avp.so \
		--switch $(BUILD)/switch/avp-switch --out $(BUILD)/bench/ports-full

.PHONY: bench-vm
bench-vm: all ## network cards of a VM, AVP and others: ratios, since the VM is emulated
	@devtools/setup netns vm
	@devtools/setup-vm dpdk-22.11
	@bench/vm/run.py --build $(BUILD)

.PHONY: bench-migrate
bench-migrate: all ## what moving a port, and a VM, costs its traffic; half an hour
	@devtools/setup netns vm
	@devtools/setup-vm dpdk-22.11
	@mkdir -p $(BUILD)/bench/migrate
	@bench/migrate_ports.py $(abspath $(BUILD))/switch/avp-switch \
		$(abspath $(BUILD))/bench/move_traffic --out $(BUILD)/bench/migrate/ports.json
	@bench/migrate_vm.py --build $(BUILD) --out $(BUILD)/bench/migrate/vm.json

.PHONY: format
format: ## clang-format in place
	@devtools/setup lint
	git ls-files -co --exclude-standard '*.c' '*.h' | xargs -r clang-format-14 -i

.PHONY: lint
lint: all ## format, SPDX, headers, layers, words, commits, spelling, scripts
	@devtools/setup lint
	@devtools/lint $(BUILD) $(T)

.PHONY: install
install: all ## install below DESTDIR
	meson install -C $(BUILD) --no-rebuild $(if $(DESTDIR),--destdir '$(abspath $(DESTDIR))')

.PHONY: check-install
check-install: all ## install into a folder; drivers and programs must run from there
	devtools/check-install $(BUILD)

.PHONY: check-releases
check-releases: setup ## compile against other releases: DPDK="installed 24.11 FOLDER"
	@devtools/setup test clang release
	@J=$(J) devtools/check-releases $(DPDK)

.PHONY: check-arm64
check-arm64: setup ## compile for arm64; nothing is linked or run
	@devtools/setup test arm64
	@J=$(J) devtools/check-arm64

.PHONY: guest-driver
guest-driver: setup ## net_avp for guests with another release: DPDK=24.11, DPDK="24.11 FOLDER"
	@devtools/setup release
	@J=$(J) devtools/guest-driver $(DPDK)

# What CI does, and the builds it has no time for.
.PHONY: pre-push
pre-push: ## all that CI does, thread sanitizer, release build, other releases, arm64
	bash .ci/run lint test-all asan 'test CC=clang' 'asan CC=clang' tsan release check-install \
		'check-releases DPDK=24.11' check-arm64

.PHONY: clean
clean: ## remove the build folders (what set-up fetched stays in .setup)
	rm -rf build build-*

.PHONY: help
help: ## this list
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 16

comma := ,

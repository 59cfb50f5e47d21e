# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 OpenAVP contributors
#
# One word per task, in front of meson. `make help` lists them.
#
#   BUILD=folder   build there (default: build; build-clang with CC=clang)
#   CC=clang       compiler, fixed when the build folder is made
#   T=name         just this test, with its full output (make test, asan, ...)
#   J=n            jobs at once

CC_GIVEN := $(filter-out default,$(origin CC))
ifneq ($(CC_GIVEN),)
export CC
endif
BUILD ?= build$(if $(CC_GIVEN),$(patsubst %,-%,$(filter-out cc gcc,$(notdir $(CC)))))
J ?= $(shell nproc)

# Meson configures a build folder once; ninja does so again when needed.
NINJA = ninja -j $(J) -C
CONFIGURE = test -f $(1)/build.ninja || meson setup $(1) $(MESON_ARGS) $(2)

ASAN_ARGS := -Db_sanitize=address,undefined -Db_lundef=false -Doptimization=1
TSAN_ARGS := -Db_sanitize=thread -Db_lundef=false -Doptimization=1

# $(call run-tests,<build folder>,<suites>): all tests of these suites, or test T alone.
run-tests = devtools/run-tests $(1) $(if $(T),--test '$(T)',$(addprefix --suite ,$(2)))

.PHONY: all
all: setup ## set up and build
	@$(call CONFIGURE,$(BUILD))
	$(NINJA) $(BUILD)

.PHONY: setup
setup: ## install what building needs, get DPDK's driver headers
	@devtools/setup build
	@devtools/setup-dpdk-headers

.PHONY: demo
demo: all ## a VM with two AVP ports carries traffic between two hosts
	@devtools/setup vm
	vm/demo

.PHONY: test
test: all ## unit and port tests: no root, no huge pages
	@devtools/setup test
	@$(call run-tests,$(BUILD),unit port)

.PHONY: test-all
test-all: all ## every test: adds netns, hostile, fuzz, vm
	@devtools/setup test netns vm
	@$(call run-tests,$(BUILD),unit port netns hostile fuzz vm)

.PHONY: asan
asan: setup ## unit, port, hostile and fuzz tests with the address and undefined sanitizers
	@devtools/setup test
	@$(call CONFIGURE,build-asan,$(ASAN_ARGS))
	$(NINJA) build-asan
	@$(call run-tests,build-asan,unit port hostile fuzz)

.PHONY: tsan
tsan: setup ## unit tests with the thread sanitizer
	@$(call CONFIGURE,build-tsan,$(TSAN_ARGS))
	$(NINJA) build-tsan
	@$(call run-tests,build-tsan,unit)

.PHONY: bench
bench: all ## benchmarks: a table and JSON
	@devtools/setup netns
	@$(call run-tests,$(BUILD),bench)

.PHONY: format
format: ## clang-format in place
	@devtools/setup lint
	git ls-files -co --exclude-standard '*.c' '*.h' | xargs -r clang-format-14 -i

.PHONY: lint
lint: all ## format, SPDX, headers, includes, tokens, commits, spelling, scripts
	@devtools/setup lint
	@devtools/lint $(BUILD) $(T)

.PHONY: install
install: all ## install below DESTDIR
	meson install -C $(BUILD) --no-rebuild $(if $(DESTDIR),--destdir '$(abspath $(DESTDIR))')

.PHONY: clean
clean: ## remove the build folders (what set-up fetched stays in .setup)
	rm -rf build build-*

.PHONY: help
help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 14

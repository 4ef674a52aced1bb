# A thin front for meson, so that nobody has to remember how it is called.
#
#   make            build into build/
#   make demo       do the main job for real: repair a small bug with an embedded model
#   make check      build and run all tests
#   make bench      measure against named peers
#   make install    into PREFIX (default /usr/local), honours DESTDIR
#   make deps       install what is missing (asks before it uses sudo)

BUILD  ?= build
PREFIX ?= /usr/local
CHECK  ?=

.PHONY: all demo check bench install deps lint format clean

all: deps
	@tools/build.sh $(BUILD) --prefix=$(PREFIX)

deps:
	@tools/deps/deps.sh

demo: all
	@tools/demo/demo.sh $(BUILD)

check: all
	@tools/check/check.sh $(BUILD) $(CHECK)

bench: all
	@tools/bench/bench.sh $(BUILD)

install: all
	@meson install -C $(BUILD) --no-rebuild

lint: all
	@tools/check/tidy.sh $(BUILD)

format:
	@git ls-files 'src/*.[ch]' 'tests/*.[ch]' | xargs clang-format -i

clean:
	rm -rf $(BUILD)

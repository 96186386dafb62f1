#!/bin/sh
# Installs what Faultline needs on a Debian 12 machine: packages, .venv with the project in it, the kernel trees.
# Says nothing and takes no time when all is there.  Without root it says which packages to install (exit status 3).
set -eu
cd "$(dirname "$0")/.."

RELEASE=6.12		# the default tree
OTHERS="6.1 5.10 7.2"	# tests run on these too, as far as the mirror has them
STAMP=.setup-stamp

complain() {
	echo "setup: $*" >&2
	exit 3
}

have() {
	command -v "$1" >/dev/null 2>&1
}

cache_dir() {
	if [ -n "${FAULTLINE_CACHE:-}" ]; then
		echo "$FAULTLINE_CACHE"
	else
		echo "${XDG_CACHE_HOME:-$HOME/.cache}/faultline"
	fi
}

# The first Python that is new enough, with its path.
find_python() {
	for python in python3 python3.11 python3.12 python3.13; do
		if have "$python" && "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
			command -v "$python"
			return
		fi
	done
}

# Debian packages that are not here, one word each; a program stands for its package.
missing_packages() {
	for pair in clang-19:clang-19 ld.lld-19:lld-19 llvm-symbolizer-19:llvm-19 spatch:coccinelle bc:bc xz:xz-utils \
		git:git gcc:gcc make:make chromium:chromium chromedriver:chromium-driver; do
		have "${pair%%:*}" || printf ' %s' "${pair#*:}"
	done
	[ -e /usr/lib/llvm-19/lib/clang/19/lib/linux/libclang_rt.asan-x86_64.a ] || printf ' libclang-rt-19-dev'
	[ -d /usr/share/fonts/truetype/dejavu ] || printf ' fonts-dejavu-core'
	python=$(find_python)
	if [ -z "$python" ]; then
		printf ' python3 python3-venv'
	elif ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
		printf ' python3-venv'
	fi
}

install_packages() {
	packages=$(missing_packages)
	[ -n "$packages" ] || return 0
	if ! have apt-get; then
		complain "needs these programs of Debian's packages:$packages"
	elif [ "$(id -u)" != 0 ]; then
		complain "needs packages; install them and start again: sudo apt-get install -y$packages"
	fi
	echo "setup: installing$packages"
	export DEBIAN_FRONTEND=noninteractive
	{ apt-get update -q && apt-get install -q -y --no-install-recommends $packages; } >"$LOG" 2>&1 ||
		{ tail -n 5 "$LOG" >&2; complain "apt-get could not install$packages"; }
	packages=$(missing_packages)
	[ -z "$packages" ] || complain "installed, and still not found:$packages"
}

install_project() {
	.venv/bin/python -c '' 2>/dev/null || {
		python=$(find_python)
		echo "setup: making .venv with $python"
		rm -rf .venv
		"$python" -m venv .venv >"$LOG" 2>&1 || { tail -n 5 "$LOG" >&2; complain "cannot make .venv with $python"; }
	}
	echo "setup: installing the project into .venv"
	.venv/bin/python -m pip install -q -e '.[fuzz,dev]' >"$LOG" 2>&1 && return
	tail -n 5 "$LOG" >&2
	echo "setup: trying without atheris; fuzz/fuzz_program.py will not run" >&2
	.venv/bin/python -m pip install -q -e '.[dev]' >"$LOG" 2>&1 ||
		{ tail -n 5 "$LOG" >&2; complain "pip could not install the project; is the network there?"; }
}

# What the project was last installed from, and with what.
state() {
	cat pyproject.toml scripts/setup.sh | sha256sum
	pwd
	.venv/bin/python -V 2>&1 || true
}

LOG=$(mktemp)
trap 'rm -f "$LOG"' EXIT
trap 'exit 130' INT TERM

install_packages
if [ ! -x .venv/bin/faultline ] || [ "$(state)" != "$(cat $STAMP 2>/dev/null)" ]; then
	install_project
	state >$STAMP
fi
for release in $RELEASE $OTHERS; do
	[ ! -e "$(cache_dir)/trees/linux-$release/.faultline-package" ] || continue
	.venv/bin/faultline tree fetch "debian:$release" && continue
	[ "$release" != "$RELEASE" ] || exit 3
	echo "setup: tests on debian:$release will be skipped" >&2
done

#!/bin/sh
# Get a Chromium for the browser tests: Debian's as root, else Playwright's own build.
set -u
command -v chromium >/dev/null && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    apt-get update -qq && apt-get install -y -qq chromium fonts-dejavu-core >/dev/null && exit 0
fi
.venv/bin/playwright install chromium && exit 0
echo "No Chromium could be installed, so the browser tests can't run. On Debian: apt-get install chromium" >&2
[ "${CI:-}" = true ] && exit 1
exit 0

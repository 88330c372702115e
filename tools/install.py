"""Install packages into the environment that runs this: with uv, which takes seconds, or with pip where uv cannot.

Call it as ``python tools/install.py [-c FILE]... REQUIREMENT...``. uv does not read pip's configuration, so that
what this machine says there (an index of its own, a certificate, a proxy) is passed on to it.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import time

PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check")
UV_OPTIONS = ("--quiet", "--python", sys.executable)
#: Compiling everything takes four times as long as installing it, and a fifth of it is used. Processes that may not
#: write bytecode would compile it again and again.
COMPILE = ("--compile-bytecode",) if sys.dont_write_bytecode else ()
SIGN_OF_LIFE_SECONDS = 5
#: What pip calls a setting, and the variable in which uv looks for it.
SETTINGS = {
    "cert": "SSL_CERT_FILE",
    "constraint": "UV_CONSTRAINT",
    "default-timeout": "UV_HTTP_TIMEOUT",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "index-url": "UV_DEFAULT_INDEX",
    "proxy": "HTTPS_PROXY",
    "timeout": "UV_HTTP_TIMEOUT",
    "trusted-host": "UV_INSECURE_HOST",
}
#: Sections of pip's configuration, the strongest last.
SECTIONS = ("global", "install", ":env:")


def main(arguments: list[str]) -> int:
    """Install and return the exit code of the installer."""
    begun = time.monotonic()
    uv = [sys.executable, "-m", "uv", "pip", "install", *UV_OPTIONS, *COMPILE, *arguments]
    if install_uv() and run(uv, {**os.environ, **uv_settings(pip_configuration())}):
        tool, code = "uv", 0
    else:
        print("uv cannot be used here; installing with pip, which takes some minutes ...", flush=True)
        tool, code = "pip", subprocess.call([*PIP, "install", "-q", *arguments])
    if code == 0:
        print(f"Installed with {tool} in {time.monotonic() - begun:.0f} s.", flush=True)
    return code


def install_uv() -> bool:
    """Put the pinned uv into this environment; return whether it is installed."""
    return run([*PIP, "install", "-q", "-c", "constraints.txt", "uv"], dict(os.environ))


def run(command: list[str], env: dict[str, str]) -> bool:
    """Run a command, show that it is still running, and return whether it succeeded."""
    begun = time.monotonic()
    with subprocess.Popen(command, env=env) as child:
        while True:
            try:
                return child.wait(SIGN_OF_LIFE_SECONDS) == 0
            except subprocess.TimeoutExpired:
                print(f"  ... {time.monotonic() - begun:.0f} s", flush=True)


def pip_configuration() -> dict[str, str]:
    """Return pip's settings from its files and from the environment, by pip's names."""
    listed = subprocess.run([*PIP, "config", "list"], capture_output=True, text=True, check=True).stdout
    settings = [line.partition("=") for line in listed.splitlines()]
    found = {}
    for section in SECTIONS:
        for name, _, value in settings:
            if name.startswith(f"{section}."):
                found[name.removeprefix(f"{section}.")] = str(ast.literal_eval(value))
    return found


def uv_settings(configuration: dict[str, str]) -> dict[str, str]:
    """Return variables that give uv the settings of pip; variables that are set already are left alone."""
    variables = {SETTINGS[name]: value for name, value in configuration.items() if name in SETTINGS}
    if "UV_FIND_LINKS" in variables:
        variables["UV_FIND_LINKS"] = ",".join(variables["UV_FIND_LINKS"].split())
    if "UV_INDEX" in variables:
        # As pip: the best version of all indexes, not the first index that has the package.
        variables["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    return {name: value for name, value in variables.items() if name not in os.environ}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

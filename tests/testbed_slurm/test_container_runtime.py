"""The stand-in for singularity: options, environment, translated paths, processes."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rayster_testbed.slurm_plugin import container


def run(*words: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-I", "-S", container.__file__, *words],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env={"PATH": os.environ["PATH"], **(env or {})},
    )


def shell(script: str, *options: str, env: dict[str, str] | None = None) -> str:
    done = run("exec", *options, "docker://rayster/notebook", "bash", "-c", script, env=env)
    assert done.returncode == 0, done.stderr
    return done.stdout


HOST = {
    "SLURM_JOB_ID": "7",
    "SECRET": "x",
    "APPTAINERENV_A": "1",
    "SINGULARITYENV_B": "2",
    "https_proxy": "p",
}
PRINT = 'echo "$SLURM_JOB_ID|$SECRET|$A|$B|$https_proxy"'


@pytest.mark.parametrize(
    ("options", "printed"),
    [
        pytest.param([], "7|x|1|2|p", id="the host's environment by default"),
        pytest.param(["--containall"], "||1|2|p", id="containall cleans it"),
        pytest.param(["-e"], "||1|2|p", id="cleanenv too"),
        pytest.param(["--contain"], "7|x|1|2|p", id="contain does not"),
        pytest.param(["-C", "--env", "A=3,B=4"], "||3|4|p", id="env wins"),
        pytest.param(["-C", "--env", "A=3,4"], "||3,4|2|p", id="a comma in a single value"),
        pytest.param(["-C", "--env=SLURM_JOB_ID=8"], "8||1|2|p", id="an option with an equals sign"),
    ],
)
def test_environment(options: list[str], printed: str) -> None:
    assert shell(PRINT, *options, env=HOST).strip() == printed


def test_env_file_is_read_as_shell_and_env_wins_over_it(tmp_path: Path) -> None:
    env_file = tmp_path / "env"
    env_file.write_text("A='it'\"'\"'s $(x)\nnext'\nB=file\n")
    printed = shell('printf "%s" "$A|$B"', "-C", "--env-file", str(env_file), "--env", "B=option", env=HOST)
    assert printed == "it's $(x)\nnext|option"


def test_home_and_path_cannot_be_set_from_outside() -> None:
    done = run(
        "exec", "--containall", "--env", "HOME=/x,PATH=/y", "docker://i", "bash", "-c", 'echo "$HOME $PATH"'
    )
    home, path = done.stdout.split()
    assert home.startswith("/tmp/rs-")
    assert path.split(":")[0] == str(Path(sys.executable).parent)
    assert "Overriding HOME environment variable is not permitted" in done.stderr


@pytest.mark.parametrize(
    ("options", "script", "printed"),
    [
        pytest.param(["--bind", "{src}:/data"], 'cat "$FILE"', "content", id="environment values"),
        pytest.param(
            ["--home", "{src}:/home/jovyan"], "cat ~/file; pwd", "content{src}", id="home, and start in it"
        ),
        pytest.param(
            ["-B", "{src}:/data:ro", "--pwd", "/data"], "cat file", "content", id="working directory"
        ),
        pytest.param(["--mount", "type=bind,src={src},dst=/data"], 'cat "$FILE"', "content", id="mount"),
        pytest.param(["--bind", "/nowhere:/x,{src}:/data"], 'cat "$FILE"', "content", id="list of binds"),
    ],
)
def test_what_lies_under_a_bind_is_found_at_its_source(
    tmp_path: Path, options: list[str], script: str, printed: str
) -> None:
    (tmp_path / "file").write_text("content")
    filled = [option.format(src=tmp_path) for option in options]
    output = shell(script, *filled, "--env", "FILE=/data/file")
    assert output.strip() == printed.format(src=tmp_path)


@pytest.mark.parametrize(
    ("text", "translated"),
    [
        ("/data", "/src"),
        ("/data/x", "/src/x"),
        ("--dir=/data/x", "--dir=/src/x"),
        ("/database", "/database"),
        ("/data/deep/x", "/deeper/x"),
        ("see /data", "see /data"),
        ("", ""),
    ],
)
def test_translation(text: str, translated: str) -> None:
    binds = [("/src", "/data"), ("/deeper", "/data/deep"), ("/", "/")]
    assert container.translate(text, binds) == translated


@pytest.mark.parametrize(
    ("words", "status", "error"),
    [
        pytest.param(["exec", "img", "sh", "-c", "exit 3"], 3, "", id="exit code"),
        pytest.param(["exec", "img", "sh", "-c", "kill -9 $$"], 137, "", id="killed"),
        pytest.param(["run", "img"], 0, "", id="run without command"),
        pytest.param(["exec", "img", "no-such-program"], 255, "no such file", id="no program"),
        pytest.param(["exec", "docker://does-not-exist", "true"], 255, "Unable to handle", id="no image"),
        pytest.param(["exec", "--nosuch", "img", "true"], 1, "unknown flag: --nosuch", id="unknown flag"),
        pytest.param(
            ["exec", "--env", "A=1,B=2,3", "i", "true"],
            1,
            "3 must be formatted as key=value",
            id="comma in a list",
        ),
        pytest.param(["exec", "img"], 1, "requires at least 2 arg(s)", id="no command"),
        pytest.param(["exec", "--bind"], 1, "flag needs an argument", id="no value"),
        pytest.param(["pull", "img"], 1, 'unknown command "pull"', id="unknown verb"),
    ],
)
def test_exit_status_and_errors(words: list[str], status: int, error: str) -> None:
    done = run(*words)
    assert done.returncode == status
    assert error in done.stderr


def test_scratch_directory_is_short_private_and_gone_afterwards() -> None:
    tmpdir = shell('stat -c %a "$TMPDIR"; echo "$TMPDIR"').split()
    assert tmpdir[0] == "700"
    assert len(tmpdir[1]) < 20
    assert not Path(tmpdir[1]).exists()


def test_processes_left_behind_end_with_the_container(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    shell(
        f"setsid bash -c 'echo $$ > {pid_file}; exec sleep 60' & while ! test -s {pid_file}; do sleep 0.05; done"
    )
    assert not Path(f"/proc/{pid_file.read_text().strip()}").exists()


def test_sigterm_reaches_the_command(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    script = f"trap 'echo bye; exit 5' TERM; touch {ready}; while :; do sleep 0.05; done"
    process = subprocess.Popen(
        [
            sys.executable,
            "-I",
            "-S",
            container.__file__,
            "exec",
            "img",
            shutil.which("bash") or "bash",
            "-c",
            script,
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 10
    while not ready.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.terminate()
    output, _ = process.communicate(timeout=10)
    assert (process.returncode, output) == (5, "bye\n")


def test_arguments_arrive_unchanged() -> None:
    words = [
        "$HOME",
        "$(touch x)",
        "a b",
        "it's",
        '"dq"',
        "`b`",
        "é雪🚀",
        "line\nend",
        "",
        "*",
        "~",
        "a;b",
        r"\n",
        "!h",
    ]
    program = "import sys; print(repr(sys.argv[1:]))"
    done = run("exec", "--no-eval", "img", sys.executable, "-c", program, *words)
    assert done.stdout.strip() == repr(words)


def test_of_nested_binds_the_deeper_one_wins(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "file").write_text("inner")
    (tmp_path / "outer").mkdir()
    binds = ["--bind", f"{tmp_path}/outer:/a", "--bind", f"{tmp_path}/inner:/a/b"]
    assert shell('cat "$FILE"', *binds, "--env", "FILE=/a/b/file") == "inner"

"""What the README tells people to type works: its blocks marked ``bash run`` are run in order, in an empty folder."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^```bash run\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(text):
    return BLOCK.findall(text)


def run(script, folder):
    """Run lines in bash as a reader would, with Savile on the path, stopping at the first that fails."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "SAVILE_HOME": str(folder / ".savile")}
    command = ["bash", "-euo", "pipefail", "-c", script]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600, check=False)


@pytest.mark.slow
@pytest.mark.parametrize("readme", ["README.md", "README.zh.md"])
def test_the_commands_of_the_readme_run(readme, tmp_path):
    found = blocks((ROOT / readme).read_text(encoding="utf-8"))
    assert found, f"{readme} has no block marked ```bash run"
    for script in found:
        done = run(script, tmp_path)
        assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"


def test_a_block_that_fails_is_noticed(tmp_path):
    text = "```bash run\nfalse\ntrue\n```\n\n```bash\nexit 9\n```\n\n```bash run\npython -c 'import savile'\n```\n"
    assert [run(script, tmp_path).returncode for script in blocks(text)] == [1, 0]

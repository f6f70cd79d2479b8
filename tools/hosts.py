"""No file of the project names a package index: where packages come from is the installing machine's choice.

The patterns are written so that this file does not match itself.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HOSTS = re.compile(
    rb"pypi[.]org|pythonhosted[.]org|registry[.]npmjs[.]|registry[.]yarnpkg[.]|repo1?[.]maven[.]|repo1[.]maven"
    rb"|static[.]crates[.]io|index[.]crates[.]io|proxy[.]golang[.]org|sum[.]golang[.]org"
    rb"|(?:deb|security|ftp)[.]debian[.]org|--(?:extra-)?index-url[ =]|--find-links[ =]"
)
# Used where there is no repository, as in an unpacked source archive.
NOT_OURS = {
    ".git",
    "site",
    "dist",
    "build",
    "node_modules",
    "__pycache__",
    ".services",
    ".demo",
    ".hypothesis",
}


def files() -> Iterator[Path]:
    """The committed files and those about to be; without git, all that the project's targets do not make."""
    asked = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    found = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=False)
    if found.returncode == 0:
        yield from (ROOT / name for name in found.stdout.split("\0") if name)
        return
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [name for name in folders if name not in NOT_OURS and not name.startswith((".venv", ".mypy"))]
        yield from (Path(folder) / name for name in names)


def main() -> int:
    """Entry point; returns the exit code."""
    failed = 0
    for path in files():
        if not path.is_file():
            continue
        for number, line in enumerate(path.read_bytes().splitlines(), start=1):
            found = HOSTS.search(line)
            if found:
                print(f"{path.relative_to(ROOT)}:{number}: names a package index: {found[0].decode()}")
                failed = 1
    if not failed:
        print("hosts: no file names a package index")
    return failed


if __name__ == "__main__":
    sys.exit(main())

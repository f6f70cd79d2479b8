from __future__ import annotations
import subprocess, sys
def test_it(postgres_url):
    out = subprocess.run([sys.executable, "/tmp/try.py", postgres_url], capture_output=True, text=True)
    print(out.stdout, out.stderr[-3000:])
    assert out.returncode == 0

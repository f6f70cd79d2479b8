"""T9: what importing costs, in fresh interpreters."""

from __future__ import annotations

import json
import subprocess
from statistics import median
from typing import Final

from bench import peers
from bench.measured import Claim, Measure, Measured, MeasurementFailed, Sample
from bench.servers import surroundings
from bench.stage import Stage

_HEAVY: Final = ("stripe", "sqlalchemy", "aiokafka")
_CORE: Final = "payments_core"
_ADAPTERS: Final = {"payments_fastapi": "fastapi", "payments_flask": "flask"}
#: What is imported when an adapter's routes and the facade are made: names are resolved when they are first used.
_IN_USE: Final = {"payments_fastapi": "payments_fastapi.router", "payments_flask": "payments_flask.blueprint"}
_FACADES: Final = "payments_core.app"
#: The time is taken inside, so that the interpreter's own start does not count.
_SCRIPT: Final = """
import json, sys, time
for name in sys.argv[2:]: __import__(name)
began = time.perf_counter()
for name in sys.argv[1].split(): __import__(name)
print(json.dumps({"ms": (time.perf_counter() - began) * 1000, "heavy": [n for n in %r if n in sys.modules]}))
"""
_TIMES: Final = 5


def _run(stage: Stage) -> Measured:
    samples: list[Sample] = []
    for number in range(stage.rounds):
        stage.say(f"T9 round {number + 1} of {stage.rounds}")
        samples.append(Sample(_CORE, number, _core()))
        for adapter, framework in _ADAPTERS.items():
            in_use = f"{_IN_USE[adapter]} {_FACADES}"
            figures = {"ms": _ms(adapter, framework), "in_use_ms": _ms(in_use, framework)}
            samples.append(Sample(adapter, number, figures))
    return Measured(tuple(samples))


def _core() -> dict[str, float]:
    found = [_import(_CORE) for _ in range(_TIMES)]
    return {"ms": median(one[0] for one in found), "heavy": len(found[0][1])}


def _ms(module: str, *before: str) -> float:
    return median(_import(module, *before)[0] for _ in range(_TIMES))


def _import(module: str, *before: str) -> tuple[float, list[str]]:
    """The milliseconds that the import takes after the others, and what heavy packages are loaded then.

    `module` may be several, with spaces between.
    """
    line = (str(peers.python()), "-c", _SCRIPT % (_HEAVY,), module, *before)
    done = subprocess.run(line, env=surroundings(""), capture_output=True, text=True, check=False, cwd=peers.ROOT)
    if done.returncode:
        raise MeasurementFailed(f"{module} cannot be imported: {done.stderr.strip()[-300:]}")
    found = json.loads(done.stdout)
    return float(found["ms"]), list(found["heavy"])


IMPORTS: Final = Measure(
    "imports",
    (
        Claim("T9", "milliseconds of `import payments_core`", "ms", _CORE, at_most=60),
        Claim("T9", "stripe, sqlalchemy, aiokafka loaded by it", "heavy", _CORE, at_most=0),
        *(
            Claim("T9", f"milliseconds of {adapter} over {framework}", "ms", adapter, at_most=15)
            for adapter, framework in _ADAPTERS.items()
        ),
        *(
            Claim("T9", f"milliseconds of {adapter} in use, facades and all, over {framework}", "in_use_ms", adapter)
            for adapter, framework in _ADAPTERS.items()
        ),
    ),
    _run,
)

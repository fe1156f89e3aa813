"""The log is lines of JSON, whatever is said and whoever says it."""

import json
import subprocess
import sys

WARN = """
import logging.config, warnings
from app import logs
logging.config.dictConfig(logs.CONFIGURATION)
logs.take_warnings()
warnings.warn("a library's opinion")
logging.getLogger("library").warning("another's")
logging.getLogger("python_multipart.multipart").warning("a form is odd")
warnings.warn_explicit("a picture is odd", UserWarning, "TiffImagePlugin.py", 1, "PIL.TiffImagePlugin")
"""


def test_what_libraries_warn_of_are_lines_of_the_log_but_not_what_is_odd_in_uploads() -> None:
    done = subprocess.run([sys.executable, "-c", WARN], capture_output=True, text=True, check=True)
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [(line["level"], line["logger"]) for line in lines] == [("warning", "py.warnings"), ("warning", "library")]
    assert "a library's opinion" in lines[0]["message"]

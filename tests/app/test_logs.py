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
warnings.warn_explicit("a picture is odd", UserWarning, "TiffImagePlugin.py", 1, "PIL.TiffImagePlugin")
"""


def test_a_warning_is_a_line_of_the_log_and_what_pillow_says_of_pictures_is_none() -> None:
    done = subprocess.run([sys.executable, "-c", WARN], capture_output=True, text=True, check=True)
    (line,) = map(json.loads, done.stderr.splitlines())
    assert (line["level"], line["logger"]) == ("warning", "py.warnings")
    assert "a library's opinion" in line["message"]

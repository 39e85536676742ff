"""TF Serving's configuration files, and the command that starts it.

    models.config      the models to serve (ModelServerConfig)
    batching.config    how requests are merged if batching is on (BatchingParameters)
    monitoring.config  metrics for Prometheus (MonitoringConfig)
    compose.yaml       a container with these files, published on loopback

Existing files are not overwritten: they may have been edited.
"""

import json
import os
import re
import shlex
from pathlib import Path

from kptkit.errors import InputError
from kptkit.export.version_folders import versions
from kptkit.files import write_text
from kptkit.reading import read_text

# The folder of these files, beside the versions; TF Serving ignores its name.
SERVER_FILES = "serving"

IMAGE = "tensorflow/serving:2.20.0"

# Ports of gRPC and REST. TF Serving has no authentication, so they are published on loopback only.
PORTS = (8500, 8501)

# Eight merged requests of one picture each never exceed a SavedModel's limits. Lengths are padded
# because pictures have different numbers of persons.
_BATCHING = """\
max_batch_size { value: 8 }
batch_timeout_micros { value: 2000 }
max_enqueued_batches { value: 64 }
num_batch_threads { value: 4 }
pad_variable_length_inputs: true
"""

_MONITORING = """\
prometheus_config {
  enable: true
  path: "/monitoring/prometheus/metrics"
}
"""

_FLAGS = (
    "--model_config_file=/serving/models.config",
    "--monitoring_config_file=/serving/monitoring.config",
    "--rest_api_timeout_in_ms=30000",
)
BATCHING_FLAGS = ("--enable_batching", "--batching_parameters_file=/serving/batching.config")


def write_server_files(folder: str | os.PathLike, models: dict[str, Path]) -> list[Path]:
    """Writes those of the four files that are missing.

    Args:
        models: folders of versions, by the model names that clients will use.

    Returns:
        The files that were written.

    Raises:
        InputError: a name is not usable in a URL.
    """
    for name in models:
        if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
            raise InputError(f"model: {name!r}, expected letters, digits, - and _")
    folder = Path(folder)
    contents = {
        "models.config": models_config(models),
        "batching.config": _BATCHING,
        "monitoring.config": _MONITORING,
        "compose.yaml": _compose(folder, models),
    }
    written = [folder / name for name in contents if not (folder / name).exists()]
    for path in written:
        write_text(path, contents[path.name])
    return written


def check_existing(folder: str | os.PathLike, models: dict[str, Path]) -> None:
    """Checks that files which are there already, and therefore stay, know all models.

    Args:
        models: as for `write_server_files`.

    Raises:
        InputError: one of them lacks a model, which then would not be served.
    """
    known = {
        "models.config": r'\bname\s*:\s*["\']{}["\']',
        "compose.yaml": r"/models/{}(?![\w-])",
    }
    for file, pattern in known.items():
        path = Path(folder, file)
        if not path.is_file():
            continue
        text = re.sub(r"(?m)^\s*#.*$", "", read_text(path, "a file of kptkit serve"))
        missing = [name for name in models if not re.search(pattern.format(re.escape(name)), text)]
        if missing:
            raise InputError(
                f"{path}: exists, and is kept, without {', '.join(missing)}; add what is missing, "
                "remove the file to have it written anew, or give another --out"
            )


def check_versions(folder: str | os.PathLike) -> None:
    """Checks that a folder's newest version, which is the one that is served, is a SavedModel.

    Raises:
        InputError: it is not, or there is no version.
    """
    there = versions(folder)
    if not there:
        raise InputError(f"{folder}: no version of a model; export one: kptkit export")
    newest = there[max(there)]
    if not any((newest / name).is_file() for name in ("saved_model.pb", "saved_model.pbtxt")):
        raise InputError(
            f"{newest}: no SavedModel, which is all that TF Serving reads; export one: kptkit "
            "export, without --format litert or onnx"
        )


def models_config(models: dict[str, Path]) -> str:
    """The text of a ModelServerConfig that serves each model's newest version."""
    entries = [
        f"""\
  config {{
    name: "{name}"
    base_path: "/models/{name}"
    model_platform: "tensorflow"
    model_version_policy {{ latest {{ num_versions: 1 }} }}
  }}
"""
        for name in models
    ]
    return f"model_config_list {{\n{''.join(entries)}}}\n"


def docker_run(folder: str | os.PathLike, models: dict[str, Path], batching: bool = False) -> str:
    """The shell command that starts a server with the files of `folder`."""
    mounts = {f"/models/{name}": Path(path) for name, path in models.items()}
    mounts["/serving"] = Path(folder)
    arguments = ["docker", "run", "--rm"]
    for port in PORTS:
        arguments += ["-p", f"127.0.0.1:{port}:{port}"]
    for target, source in mounts.items():
        arguments += ["--mount", f"type=bind,source={source.resolve()},target={target},readonly"]
    return shlex.join([*arguments, IMAGE, *_FLAGS, *(BATCHING_FLAGS if batching else ())])


def _compose(folder: Path, models: dict[str, Path]) -> str:
    def mount(source: Path, target: str) -> str:
        try:
            place = "./" + Path(os.path.relpath(source, folder)).as_posix()
        except ValueError:  # another drive of Windows
            place = source.resolve().as_posix()
        # JSON strings are valid YAML; Compose would take $ for a variable.
        text = json.dumps(place).replace("$", "$$")
        return (
            f"      - type: bind\n        source: {text}\n        target: {target}\n"
            "        read_only: true\n"
        )

    mounts = "".join(mount(path, f"/models/{name}") for name, path in models.items())
    ports = "".join(f'      - "127.0.0.1:{port}:{port}"\n' for port in PORTS)
    flags = "".join(f"      - {flag}\n" for flag in _FLAGS)
    batching = "".join(f"      # - {flag}\n" for flag in BATCHING_FLAGS)
    return f"""\
services:
  serving:
    image: {IMAGE}
    ports:
{ports}    volumes:
{mounts}{mount(folder, "/serving")}    command:
{flags}      # For throughput on a GPU, see docs/serving.md:
{batching}    healthcheck:
      # The image has no curl; the port opens when all models are loaded and warm.
      test: ["CMD", "bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/{PORTS[1]}"]
      interval: 10s
      start_period: 60s
    security_opt:
      - no-new-privileges:true
    restart: unless-stopped
"""

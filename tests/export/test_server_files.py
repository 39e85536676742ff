"""The files of a server parse as the messages that TF Serving reads them into."""

import shlex
from itertools import pairwise

import pytest
import yaml
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
from google.protobuf import wrappers_pb2 as wrappers
from tensorflow_serving.config import model_server_config_pb2

from kptkit.errors import InputError
from kptkit.export.pose_graph import MAX_BOXES, MAX_PERSONS
from kptkit.export.server_files import BATCHING_FLAGS, PORTS, docker_run, write_server_files

# Messages that tensorflow-serving-api does not bring, by TF Serving 2.20's proto files: the name
# of each field, its number and its type; a star for repeated ones.
MESSAGES = {
    "PrometheusConfig": {"enable": (1, "bool"), "path": (2, "string")},
    "MonitoringConfig": {"prometheus_config": (1, ".check.PrometheusConfig")},
    "BatchingParameters": {
        "max_batch_size": (1, ".google.protobuf.Int64Value"),
        "batch_timeout_micros": (2, ".google.protobuf.Int64Value"),
        "max_enqueued_batches": (3, ".google.protobuf.Int64Value"),
        "num_batch_threads": (4, ".google.protobuf.Int64Value"),
        "thread_pool_name": (5, ".google.protobuf.StringValue"),
        "allowed_batch_sizes": (6, "int64*"),
        "pad_variable_length_inputs": (7, "bool"),
        "enable_large_batch_splitting": (8, ".google.protobuf.BoolValue"),
        "max_execution_batch_size": (9, ".google.protobuf.Int64Value"),
    },
}

# Of tensorflow_model_server 2.20, those that may stand in our lines.
FLAGS = {
    "model_config_file",
    "monitoring_config_file",
    "rest_api_timeout_in_ms",
    "enable_batching",
    "batching_parameters_file",
}


@pytest.fixture(scope="module")
def messages():
    """Classes of `MESSAGES` by their names."""
    types = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(
        name="check.proto", package="check", syntax="proto3", dependency=[wrappers.DESCRIPTOR.name]
    )
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, (number, kind) in fields.items():
            label = types.LABEL_REPEATED if kind.endswith("*") else types.LABEL_OPTIONAL
            own = message.field.add(name=field, number=number, label=label)
            if kind.startswith("."):
                own.type, own.type_name = types.TYPE_MESSAGE, kind
            else:
                own.type = getattr(types, f"TYPE_{kind.rstrip('*').upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers.DESCRIPTOR.serialized_pb)
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"check.{name}"))
        for name in MESSAGES
    }


@pytest.fixture
def files(tmp_path):
    """The files of two models, one of them in a folder with an awkward name."""
    models = {"pose": tmp_path / "a $b: c", "face": tmp_path / "face"}
    write_server_files(tmp_path / "serving", models)
    return tmp_path / "serving"


def test_no_models(tmp_path):
    write_server_files(tmp_path, {})
    config = model_server_config_pb2.ModelServerConfig()
    text_format.Parse((tmp_path / "models.config").read_text(), config)
    assert config.WhichOneof("config") == "model_config_list"
    assert len(config.model_config_list.config) == 0


def test_models(files):
    config = model_server_config_pb2.ModelServerConfig()
    text_format.Parse((files / "models.config").read_text(), config)
    found = {m.name: m for m in config.model_config_list.config}
    assert set(found) == {"pose", "face"}
    for name, model in found.items():
        assert model.base_path == f"/models/{name}"
        assert model.model_platform == "tensorflow"
        assert model.model_version_policy.latest.num_versions == 1


def test_batching(files, messages):
    batching = messages["BatchingParameters"]()
    text_format.Parse((files / "batching.config").read_text(), batching)
    assert batching.pad_variable_length_inputs
    # Merged requests of one picture each, whatever they hold, are no more than a program takes.
    assert 1 < batching.max_batch_size.value * MAX_PERSONS <= MAX_BOXES
    assert batching.num_batch_threads.value >= 1
    assert batching.max_enqueued_batches.value >= 1
    assert batching.batch_timeout_micros.value > 0
    assert not batching.allowed_batch_sizes  # which would have to end with max_batch_size


def test_monitoring(files, messages):
    monitoring = messages["MonitoringConfig"]()
    text_format.Parse((files / "monitoring.config").read_text(), monitoring)
    assert monitoring.prometheus_config.enable
    assert monitoring.prometheus_config.path.startswith("/")


def test_the_reading_above_tells_wrong_fields(messages):
    with pytest.raises(text_format.ParseError):
        text_format.Parse("max_batch_size: 8", messages["BatchingParameters"]())
    with pytest.raises(text_format.ParseError):
        text_format.Parse("batch_size { value: 8 }", messages["BatchingParameters"]())


def test_compose(files):
    service = yaml.safe_load((files / "compose.yaml").read_text())["services"]["serving"]
    assert service["ports"] == [f"127.0.0.1:{port}:{port}" for port in PORTS]
    mounts = {volume["target"]: volume for volume in service["volumes"]}
    assert {target: volume["source"] for target, volume in mounts.items()} == {
        "/models/pose": "./../a $$b: c",
        "/models/face": "./../face",
        "/serving": "./.",
    }
    assert all(volume["read_only"] and volume["type"] == "bind" for volume in mounts.values())
    assert_command(service["command"], files)


def assert_command(flags, files):
    """Known flags, and files that are there; batching only where it is asked for."""
    values = dict(flag.removeprefix("--").partition("=")[::2] for flag in flags)
    assert set(values) <= FLAGS
    for name, value in values.items():
        if name.endswith("_file"):
            assert (files / value.removeprefix("/serving/")).is_file()


@pytest.mark.parametrize("batching", [False, True])
def test_docker_run(files, tmp_path, batching):
    words = shlex.split(docker_run(files, {"pose": tmp_path / "a $b: c"}, batching))
    image = next(index for index, word in enumerate(words) if word.startswith("tensorflow/serving"))
    assert words[:3] == ["docker", "run", "--rm"]
    published = [word for before, word in pairwise(words) if before == "-p"]
    assert published == [f"127.0.0.1:{port}:{port}" for port in PORTS]
    mounts = [word for before, word in pairwise(words) if before == "--mount"]
    assert mounts == [
        f"type=bind,source={tmp_path}/a $b: c,target=/models/pose,readonly",
        f"type=bind,source={files},target=/serving,readonly",
    ]
    assert_command(words[image + 1 :], files)
    assert (set(BATCHING_FLAGS) <= set(words)) == batching


def test_what_somebody_changed_stays(files):
    (files / "models.config").write_text("mine")
    (files / "compose.yaml").unlink()
    assert write_server_files(files, {"pose": files.parent}) == [files / "compose.yaml"]
    assert (files / "models.config").read_text() == "mine"


@pytest.mark.parametrize("name", ["", "a/b", 'a"', "a b", "ä"])
def test_names_that_fit_into_no_address(tmp_path, name):
    with pytest.raises(InputError, match="expected letters, digits"):
        write_server_files(tmp_path, {name: tmp_path})
    assert list(tmp_path.iterdir()) == []

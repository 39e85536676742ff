"""Names as drivers give them, against NVIDIA's data sheets."""

import importlib.util
from pathlib import Path

import pytest

FILE = Path(__file__).parents[2] / "benchmarks" / "chips.py"


@pytest.fixture(scope="module")
def chips():
    spec = importlib.util.spec_from_file_location("chips", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("device_name", "bfloat16_tflops", "gb_per_second"),
    [
        ("", None, None),
        ("NVIDIA GeForce GTX 1080", None, None),
        ("NVIDIA L40", None, None),  # not an L4
        ("NVIDIA L4", 121, 300),
        ("NVIDIA H100 80GB HBM3", 989.4, 3350),
        ("NVIDIA H100 PCIe", 756, 2000),
        ("NVIDIA H200", 989.4, 4800),
        ("NVIDIA A100-SXM4-40GB", 312, 1555),
        ("NVIDIA A100-SXM4-80GB", 312, 2039),
        ("NVIDIA A100 80GB PCIe", 312, 1935),
        ("Tesla T4", 8.1, 320),
        ("Tesla V100-SXM2-16GB", 15.7, 900),
        ("Tesla V100-PCIE-16GB", 14, 900),
    ],
)
def test_chip_of_a_name(chips, device_name, bfloat16_tflops, gb_per_second):
    chip = chips.find_chip(device_name)
    assert getattr(chip, "bfloat16_tflops", None) == bfloat16_tflops
    assert getattr(chip, "gb_per_second", None) == gb_per_second

"""Peak performance of accelerators, by their driver names."""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Chip:
    """Peaks of one device, for dense matrices at boost clock."""

    float32_tflops: float
    """Peak of float32 convolutions: TF32 on the tensor cores since Ampere."""
    bfloat16_tflops: float
    gb_per_second: float


# From NVIDIA's data sheets; since Ada and Hopper those state tensor-core figures with sparsity,
# which are twice these. Volta and Turing have no bfloat16 and compute it in float32. The first row
# whose words are all in the device's name is used, so specific names come first.
CHIPS: dict[str, Chip] = {
    "H200 NVL": Chip(418, 836, 4800),
    "H200": Chip(494.7, 989.4, 4800),
    "H100 PCIe": Chip(378, 756, 2000),
    "H100 NVL": Chip(418, 836, 3900),
    "H100": Chip(494.7, 989.4, 3350),
    "A100 80GB PCIe": Chip(156, 312, 1935),
    "A100 80GB": Chip(156, 312, 2039),
    "A100": Chip(156, 312, 1555),
    "A10G": Chip(35, 70, 600),
    "L40S": Chip(183, 362, 864),
    "L4": Chip(60, 121, 300),
    "T4": Chip(8.1, 8.1, 320),
    "V100 PCIE": Chip(14, 14, 900),
    "V100": Chip(15.7, 15.7, 900),
}


def find_chip(device_name: str) -> Chip | None:
    """The chip of a driver name such as ``NVIDIA A100-SXM4-80GB``; None: not in the table."""
    words = set(re.split(r"[\s-]+", device_name.upper()))
    for name, chip in CHIPS.items():
        if set(name.upper().split()) <= words:
            return chip
    return None

"""Silences what TensorFlow and albumentations print when they are imported."""

import os


def quieten() -> None:
    """Silences the start-up messages of TensorFlow and albumentations, if imported later."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")


def import_tensorflow() -> None:
    """Imports TensorFlow and lists its devices with standard error sent to the null device.

    TensorFlow writes some messages before it reads its log level.
    """
    quieten()
    stderr = os.dup(2)
    null = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, 2)
        import tensorflow as tf

        tf.config.list_physical_devices()
    finally:
        os.dup2(stderr, 2)
        os.close(null)
        os.close(stderr)

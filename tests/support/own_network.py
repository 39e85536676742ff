"""A small network, as a user of the package might write it."""

from keras import Input, Model, layers


def tiny(num_keypoints, input_size_wh):
    width, height = input_size_wh
    image = Input((height, width, 3))
    x = layers.Rescaling(1 / 127.5, -1)(image)
    for index, filters in enumerate((16, 32)):
        x = layers.Conv2D(filters, 3, 2, "same", name=f"conv{index}")(x)
        x = layers.BatchNormalization(name=f"norm{index}")(x)
        x = layers.ReLU()(x)
    x = layers.Conv2D(32, 7, padding="same", activation="relu", name="wide")(x)
    return Model(image, layers.Conv2D(num_keypoints, 1, dtype="float32", name="head")(x))

"""Sizes of networks from their layers, by formula: weights of convolutions, linear layers and LSTMs. Needs no torch.

`sercore.models` builds the networks of finished chapters and counts for real; this counts what a text describes.
"""

from __future__ import annotations

#: Output channels of the thirteen convolutions of VGG16, a pool after each group.
VGG16 = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
HIDDEN = 4096  # units of the two hidden layers of its classifier


def convolution(inputs: int, outputs: int, kernel: int = 3, algebra: int = 1) -> int:
    """Weights and biases of a square convolution; `algebra` 4 is a quaternion layer: a quarter of the weights, one bias a channel.

    Example:
        >>> convolution(1, 64), convolution(4, 64, algebra=4)
        (640, 640)
    """
    return inputs * outputs * kernel * kernel // algebra + outputs


def linear(inputs: int, outputs: int, algebra: int = 1) -> int:
    """Weights and biases of a fully connected layer."""
    return inputs * outputs // algebra + outputs


def vgg16_features(inputs: int = 1, algebra: int = 1) -> int:
    """Parameters of the thirteen convolutions of VGG16."""
    total = 0
    for group in VGG16:
        for outputs in group:
            total += convolution(inputs, outputs, algebra=algebra)
            inputs = outputs
    return total


def vgg16(classes: int, positions: int, inputs: int = 1, algebra: int = 1) -> int:
    """Parameters of VGG16 whose last feature map has `positions` places; the last layer is real-valued in both algebras.

    Example:
        >>> vgg16(4, 16 * 4), vgg16(4, 2 * 2, inputs=4, algebra=4)
        (165733060, 9998020)
    """
    flat = VGG16[-1][-1] * positions
    classifier = linear(flat, HIDDEN, algebra) + linear(HIDDEN, HIDDEN, algebra) + linear(HIDDEN, classes)
    return vgg16_features(inputs, algebra) + classifier


def lstm(inputs: int, hidden: int) -> int:
    """Parameters of an LSTM with two bias vectors: 4h (inputs + h) + 8h.

    Example:
        >>> lstm(46, 46), lstm(46, 64)
        (17296, 28672)
    """
    return 4 * hidden * (inputs + hidden) + 8 * hidden


def lstm_with_attention(inputs: int, hidden: int, classes: int) -> int:
    """LSTM, one attention vector and a linear layer."""
    return lstm(inputs, hidden) + hidden + linear(hidden, classes)


def four_heads(places: int, hidden: int, labels: int) -> int:
    """Four classifiers on one channel of an embedding each: two hidden layers; one of them has `labels` outputs, three have one."""
    body = linear(places, hidden) + linear(hidden, hidden)
    return 4 * body + linear(hidden, labels) + 3 * linear(hidden, 1)

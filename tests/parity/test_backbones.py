"""VGG16, AlexNet and ResNet-50 against references of plain functional calls: values, taps and gradients, with weights copied over."""

import pytest
import torch
from torch.nn.functional import adaptive_avg_pool2d, batch_norm, conv2d, linear, max_pool2d, relu

from sercore.models import alexnet, mts_cnn, resnet50, vgg16

WIDTH = 1 / 16


def vgg16_reference(weights, x, adaptive):
    """Simonyan and Zisserman 2015, configuration D: blocks of 2, 2, 3, 3 and 3 convolutions, each block halved."""
    taps, number = {"input": x}, 0
    for block, convolutions in enumerate((2, 2, 3, 3, 3), 1):
        for _ in range(convolutions):
            number += 1
            x = taps[f"conv_{number}"] = relu(conv2d(x, weights[f"conv_{number}.weight"], weights[f"conv_{number}.bias"], padding=1))
        x = taps[f"pool_{block}"] = max_pool2d(x, kernel_size=2, stride=2)
    x = adaptive_avg_pool2d(x, (7, 7)) if adaptive else x
    return hidden_layers(weights, x, taps)


def alexnet_reference(weights, x):
    """Krizhevsky 2014, one tower; windows of the poolings overlap."""
    taps = {"input": x}
    for number, stride, padding, pooled in ((1, 4, 2, True), (2, 1, 2, True), (3, 1, 1, False), (4, 1, 1, False), (5, 1, 1, True)):
        x = conv2d(x, weights[f"conv_{number}.weight"], weights[f"conv_{number}.bias"], stride=stride, padding=padding)
        x = taps[f"conv_{number}"] = relu(x)
        if pooled:
            x = taps[f"pool_{number}"] = max_pool2d(x, kernel_size=3, stride=2)
    return hidden_layers(weights, adaptive_avg_pool2d(x, (6, 6)), taps)


def hidden_layers(weights, x, taps):
    x = x.reshape(len(x), -1)
    x = taps["hidden_1"] = relu(linear(x, weights["hidden_1.weight"], weights["hidden_1.bias"]))
    x = taps["embedding"] = relu(linear(x, weights["hidden_2.weight"], weights["hidden_2.bias"]))
    taps["logits"] = linear(x, weights["classifier.weight"], weights["classifier.bias"])
    return taps


def resnet50_reference(weights, x, training):
    """He et al. 2016, Table 1, 50 layers; a stage's stride is in its first 3x3 convolution and its first shortcut."""

    def normalised(x, name):
        mean, variance = weights[f"{name}.running_mean"].clone(), weights[f"{name}.running_var"].clone()
        return batch_norm(x, mean, variance, weights[f"{name}.weight"], weights[f"{name}.bias"], training)

    taps = {"input": x}
    x = taps["conv_1"] = relu(normalised(conv2d(x, weights["conv_1.weight"], stride=2, padding=3), "norm_1"))
    x = taps["pool_1"] = max_pool2d(x, kernel_size=3, stride=2, padding=1)
    for stage, blocks in ((1, 3), (2, 4), (3, 6), (4, 3)):
        for block in range(1, blocks + 1):
            tap = f"stage_{stage}" if block == blocks else f"stage_{stage}_block_{block}"
            stride = 2 if stage > 1 and block == 1 else 1
            inner, at = x, f"blocks.{tap}"
            for number, step, padding in ((1, 1, 0), (2, stride, 1), (3, 1, 0)):
                inner = conv2d(inner, weights[f"{at}.conv_{number}.weight"], stride=step, padding=padding)
                inner = normalised(inner, f"{at}.norm_{number}")
                inner = relu(inner) if number < 3 else inner
            if block == 1:
                x = normalised(conv2d(x, weights[f"{at}.shortcut.0.weight"], stride=stride), f"{at}.shortcut.1")
            x = taps[tap] = relu(inner + x)
    x = taps["embedding"] = x.mean(dim=3).mean(dim=2)
    taps["logits"] = linear(x, weights["classifier.weight"], weights["classifier.bias"])
    return taps


def with_drawn_weights(model, seed=0):
    """The model in float64 with weights of the test's own, large enough that every layer shows; and the weights by name, for gradients."""
    generator = torch.Generator().manual_seed(seed)
    weights = {}
    for name, value in model.double().state_dict().items():
        if name.endswith("num_batches_tracked"):
            continue
        drawn = torch.randn(value.shape, generator=generator, dtype=torch.float64)
        if name.endswith("running_var") or (value.dim() == 1 and name.endswith("weight")):
            drawn = 0.5 + drawn.abs()
        elif value.dim() > 1:
            drawn *= (2 / value[0].numel()) ** 0.5
        weights[name] = drawn
    model.load_state_dict(weights, strict=False)
    return model, {name: value.clone().requires_grad_(not name.endswith(("mean", "var"))) for name, value in weights.items()}


REFERENCES = {
    "vgg16": (vgg16.build, lambda w, x, training: vgg16_reference(w, x, adaptive=False), (64, 32)),
    "vgg16_pool": (vgg16.build, lambda w, x, training: vgg16_reference(w, x, adaptive=True), (70, 45)),
    "alexnet": (alexnet.build, lambda w, x, training: alexnet_reference(w, x), (130, 70)),
    "resnet50": (resnet50.build, resnet50_reference, (50, 37)),
}


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("in_channels", [1, 4])
@pytest.mark.parametrize("name", REFERENCES)
def test_values_taps_and_gradients_are_those_of_the_reference(name, in_channels, training):
    build, reference, size = REFERENCES[name]
    model, weights = with_drawn_weights(build(name, *size, 5, width=WIDTH, in_channels=in_channels, dropout=0.0))
    model.train(training)
    x = torch.randn(3, in_channels, *size, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    found, wanted = model.signals(x), reference(weights, x, training)
    assert list(found) == list(wanted) == list(model.taps)
    for tap in wanted:
        torch.testing.assert_close(found[tap], wanted[tap], rtol=1e-9, atol=1e-9, msg=lambda said, tap=tap: f"{tap}: {said}")
        assert wanted[tap].std() > 1e-3, f"{tap} is all but constant: nothing is compared"
    parameters = dict(model.named_parameters())
    upstream = torch.randn(3, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    ours = torch.autograd.grad((found["logits"] * upstream).sum(), list(parameters.values()))
    theirs = torch.autograd.grad((wanted["logits"] * upstream).sum(), [weights[n] for n in parameters])
    for parameter, a, b in zip(parameters, ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-7, atol=1e-8, msg=lambda said, name=parameter: f"gradient of {name}: {said}")


def test_alexnet_is_the_standard_a4():
    """One network, two chapters: the weights of either serve in the other. At full width, which A4 has."""
    torch.manual_seed(0)
    ours, a4 = alexnet.build("alexnet", 70, 66, 3).eval(), mts_cnn.build("a4", 70, 66, 3).eval()
    assert list(ours.state_dict()) == list(a4.state_dict())
    ours.load_state_dict(a4.state_dict(), assign=True)
    x = torch.randn(1, 70, 66)
    found, wanted = ours.signals(x), a4.signals(x)
    assert list(found) == list(wanted)
    assert all(torch.equal(found[tap], wanted[tap]) for tap in list(wanted)[1:])

"""Are imported models those of real Keras? A command of its own, as nothing else needs Keras.

    python tests/against_keras.py make FOLDER       where Keras is: saves models, and what they make of random inputs
    python tests/against_keras.py compare FOLDER    where Ostinato is: imports and streams them, and compares

``KERAS`` in the environment names the package: keras (3, with any backend), or tf_keras (2).
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

SIZE, WORDS, LENGTH, POSITIONS = 5, 7, 23, 8
MOST = 1e-5
"""Difference from Keras that float32 explains."""


def models(keras: Any) -> dict[str, Callable[[], Any]]:
    """All that is read, small."""
    L = keras.layers
    batch = "batch_shape" if hasattr(keras, "ops") else "batch_input_shape"  # what Keras 2 calls it

    def chain(*layers: Any, size: int = SIZE) -> Callable[[], Any]:
        return lambda: keras.Sequential([L.InputLayer((None, size)), *layers])

    def functional(make: Callable[[Any], Any]) -> Callable[[], Any]:
        def made() -> Any:
            x = L.Input((None, SIZE), name="heard")
            return keras.Model(x, make(x))

        return made

    def residual(x: Any) -> Any:
        y = L.GRU(6, return_sequences=True)(x)
        z = L.TimeDistributed(L.Dense(6, activation="relu"))(y)
        both = L.Concatenate()([L.Add()([y, z]), L.Subtract()([y, z]), L.Average()([y, z, z])])
        return [L.Dense(3, activation="softmax", name="words")(both), L.Dense(1, name="level")(L.Maximum()([y, z]))]

    def shared(x: Any) -> Any:
        inner = keras.Sequential(
            [L.InputLayer((None, SIZE)), L.Dense(SIZE, activation="tanh"), L.BatchNormalization()], name="inner"
        )
        wrapped = keras.Sequential([L.InputLayer((None, SIZE)), inner, L.Dense(SIZE)], name="outer")
        return L.Dense(2)(L.Multiply()([inner(x), wrapped(inner(x))]))

    def wrapped() -> Any:
        """Models for each frame: of its positions, with two ways through them; and of its values."""
        x = L.Input((POSITIONS, SIZE))
        y = L.Conv1D(4, 3, padding="same", activation="relu")(x)
        ways = [L.Dense(3, activation="tanh")(L.Flatten()(L.MaxPooling1D(2)(y))), L.Bidirectional(L.GRU(2))(y)]
        picture = keras.Model(x, L.Concatenate()([*ways, L.GlobalAveragePooling1D()(y)]), name="picture")
        values = keras.Sequential(
            [L.InputLayer((11,)), L.Dense(12, activation="elu"), L.BatchNormalization(), L.Dropout(0.2),
             L.Reshape((4, 3)), L.Conv1D(2, 2), L.Flatten()], name="values",
        )  # fmt: skip
        heard = L.Input((None, POSITIONS, SIZE))
        y = L.TimeDistributed(values)(L.TimeDistributed(picture)(heard))
        return keras.Model(heard, L.LSTM(3, return_sequences=True)(y))

    def everything(x: Any) -> Any:
        """A layer of each family, in one file that is small enough to keep."""
        y = L.SeparableConv1D(4, 2)(L.Conv1D(4, 3, padding="causal", dilation_rate=2, activation="relu")(x))
        y = L.PReLU(shared_axes=[1])(L.LayerNormalization()(L.DepthwiseConv1D(2, padding="same")(y)))
        y = L.Conv1DTranspose(4, 3, strides=2)(L.MaxPooling1D(2)(y))
        y = L.Bidirectional(L.LSTM(3, return_sequences=True), merge_mode="ave")(y)
        y = L.Bidirectional(L.GRU(3, return_sequences=True), merge_mode="concat")(y)
        y = L.SimpleRNN(4, return_sequences=True)(L.BatchNormalization()(y))
        z = L.GRU(4, reset_after=False, return_sequences=True, recurrent_activation="hard_sigmoid")(y)
        return [L.Dense(3, activation="softmax")(L.Subtract()([y, z])), L.TimeDistributed(L.Dense(2))(z)]

    def two_inputs() -> Any:
        a, b = L.Input((None, 2)), L.Input((None, 3))
        return keras.Model([a, b], L.LSTM(4, return_sequences=True)(L.Concatenate()([b, a])))

    found = {
        "simple-rnn": chain(L.SimpleRNN(4, return_sequences=True), L.Dense(3)),
        "simple-rnn-relu": chain(L.SimpleRNN(4, activation="relu", use_bias=False, return_sequences=True)),
        "gru-after": chain(L.GRU(4, return_sequences=True)),
        "gru-before": chain(L.GRU(4, return_sequences=True, reset_after=False, use_bias=False), L.GRU(3)),
        "gru-hard": chain(L.GRU(4, return_sequences=True, recurrent_activation="hard_sigmoid", activation="elu")),
        "lstm": chain(L.LSTM(4, return_sequences=True, dropout=0.2, recurrent_dropout=0.1), L.LSTM(3)),
        "lstm-hard": chain(L.LSTM(4, return_sequences=True, recurrent_activation="hard_sigmoid")),
        "lstm-softsign": chain(L.LSTM(4, return_sequences=True, activation="softsign", use_bias=False)),
        "last-class": chain(L.Masking(-9.0), L.LSTM(4), L.Dropout(0.5), L.Dense(3, activation="softmax")),
        "bi-concat": chain(L.Bidirectional(L.LSTM(4, return_sequences=True)), L.Dense(2)),
        "bi-two": chain(
            L.Bidirectional(
                L.GRU(4, return_sequences=True), backward_layer=L.LSTM(4, return_sequences=True, go_backwards=True)
            )
        ),
        "conv-causal": chain(
            L.Conv1D(6, 3, padding="causal", dilation_rate=2, activation="relu"), L.Conv1D(4, 2, groups=2)
        ),
        "conv-same": chain(
            L.Conv1D(6, 4, padding="same", activation="softmax"), L.Conv1D(3, 3, padding="same", dilation_rate=3)
        ),
        "conv-strided": chain(L.Conv1D(6, 3, strides=2), L.Conv1D(6, 3, strides=2, padding="causal", use_bias=False)),
        "conv-padded": chain(L.ZeroPadding1D((2, 1)), L.Conv1D(4, 3), L.ZeroPadding1D(1), L.DepthwiseConv1D(3)),
        "depthwise": chain(L.DepthwiseConv1D(3, depth_multiplier=2, padding="same", activation="tanh")),
        "separable": chain(L.SeparableConv1D(4, 3, depth_multiplier=2, padding="same", activation="elu")),
        "transposed": chain(
            L.Conv1DTranspose(4, 4, strides=2, activation="relu"), L.Conv1DTranspose(3, 5, strides=2, padding="same")
        ),
        "pools": chain(L.MaxPooling1D(2), L.Conv1D(4, 1), L.AveragePooling1D(3, strides=2), L.UpSampling1D(2)),
        "pool-same": chain(L.MaxPooling1D(3, strides=1, padding="same")),
        "mean-class": chain(L.Conv1D(4, 3), L.Dense(3, activation="softmax"), L.GlobalAveragePooling1D()),
        "norms": chain(
            L.BatchNormalization(), L.LayerNormalization(), L.Dense(4), L.BatchNormalization(scale=False),
            L.LayerNormalization(center=False, epsilon=1e-2),
        ),
        "activations": chain(
            L.Dense(6, activation="selu"), L.ReLU(negative_slope=0.1), L.Dense(6, activation="gelu"),
            L.PReLU(shared_axes=[1]), L.Dense(6, activation="softplus"), L.LeakyReLU(), L.Dense(6), L.ELU(0.7),
            L.Dense(6, activation="swish"), L.Activation("exponential"), L.ReLU(max_value=2.0), L.Dense(6),
            L.Softmax(),
        ),
        "noise": chain(
            L.GaussianNoise(0.1), L.SpatialDropout1D(0.1), L.Dense(3), L.GaussianDropout(0.2), L.Reshape((-1, 3)),
            L.Permute((1, 2)),
        ),
        "stateful": lambda: keras.Sequential([L.InputLayer(**{batch: (1, LENGTH, SIZE)}), L.LSTM(3, stateful=True)]),
        "frames-alone": lambda: keras.Sequential([L.InputLayer((SIZE,)), L.Dense(4, activation="relu"), L.Dense(2)]),
        "tokens": lambda: keras.Sequential(
            [L.InputLayer((None,)), L.Embedding(WORDS, 4), L.GRU(4), L.Dense(3, activation="softmax")]
        ),
        "residual": functional(residual),
        "shared": functional(shared),
        "two-inputs": two_inputs,
        "wrapped": wrapped,
        "cells": chain(
            L.RNN(L.SimpleRNNCell(4), return_sequences=True),
            L.Bidirectional(L.RNN(L.GRUCell(3), return_sequences=True)),
            L.RNN([L.LSTMCell(5), L.GRUCell(4, use_bias=False), L.LSTMCell(3), L.SimpleRNNCell(2)]), L.Dense(2),
        ),
        "everything": functional(everything),
    }  # fmt: skip
    for merge in ("sum", "mul", "ave"):
        found[f"bi-{merge}"] = chain(L.Bidirectional(L.GRU(4, return_sequences=True), merge_mode=merge))
    if hasattr(keras, "ops"):
        found["operations"] = functional(lambda x: keras.ops.relu(L.GRU(SIZE, return_sequences=True)(x) + x) - x)
        found["arithmetic"] = functional(
            lambda x: [(1 - x * 2) / 4 + (x - 3) * -x + 0.5, L.GRU(6, return_sequences=True)(x)[:, :, 1:-1]]
        )
        found["last-frame"] = functional(lambda x: L.Dense(2)(L.GRU(6, return_sequences=True)(x)[:, -1]))
        found["normalization"] = functional(
            lambda x: L.Dense(2)(L.Normalization(mean=[1.0] * 5, variance=[4.0] * 5)(x))
        )
    return found


def make(folder: Path) -> int:
    """Save each as .keras and .h5, with random weights, beside inputs and outputs in an .npz."""
    keras = importlib.import_module(os.environ.get("KERAS", "keras"))
    print(f"Keras {keras.__version__}")
    generator = np.random.default_rng(0)
    for name, build in models(keras).items():
        try:
            model = build()
        except TypeError as error:  # an argument that this version has not
            print(f"{name}: not in this version: {error}")
            continue
        model.set_weights([_weight(generator, each) for each in model.get_weights()])
        inputs = [_input(generator, each.shape) for each in model.inputs]
        outputs = model.predict(inputs if len(inputs) > 1 else inputs[0], verbose=0)
        outputs = list(outputs) if isinstance(outputs, list | tuple) else [outputs]
        folder.mkdir(parents=True, exist_ok=True)
        x = np.concatenate(inputs, axis=-1)
        x = x[0] if len(x) == 1 else x
        np.savez(folder / f"{name}.npz", inputs=x, **{f"outputs{number}": y for number, y in enumerate(outputs)})
        for ending in ("keras", "h5"):
            try:
                model.save(folder / f"{name}.{ending}")
            except ValueError as error:  # Keras 3.0 cannot save Bidirectional as .h5
                print(f"{name}.{ending}: this version cannot save it: {error}")
                (folder / f"{name}.{ending}").unlink(missing_ok=True)
    return 0


def _weight(generator: Any, array: Any) -> Any:
    """Above zero where it may have to be; whole numbers stay."""
    if array.dtype.kind in "iu":
        return array
    values = generator.uniform(-0.5, 0.5, array.shape).astype(np.float32)
    return np.abs(values) + 0.2 if np.all(array == 1) else values  # variances


def _input(generator: Any, shape: Any) -> Any:
    shape = tuple(shape)
    if len(shape) == 2 and shape[1] == SIZE:  # frames without an axis of time: several of them
        return generator.normal(size=(LENGTH, SIZE)).astype(np.float32)
    if len(shape) == 2:
        return generator.integers(0, WORDS, (1, LENGTH))
    return generator.normal(size=(1, LENGTH, *shape[2:])).astype(np.float32)


def differences(path: Path) -> list[float]:
    """The largest difference of each output of a model, imported and streamed in pieces, from what Keras made of the
    inputs in the .npz beside it; of models that give one output for the utterance, of that."""
    from ostinato.importing import import_model
    from ostinato.streaming import Model

    arrays, network = np.load(path.with_suffix(".npz")), import_model(path).network
    x, front = arrays["inputs"], network.specification.front_end
    x = x.reshape(len(x), -1) if x.ndim > 1 else x
    pieces = [x[at : at + 7] for at in range(0, len(x), 7)]
    if front.wire.token:
        pieces = ["".join(front.vocabulary[each] for each in piece) for piece in pieces]
    found = []
    for number, head in enumerate(network.specification.heads):
        stream = Model(network).stream(head=head.name, decoder="outputs")
        events = [event for piece in pieces for event in stream.push(piece)]
        ours = np.array([event.values for event in (*events, *stream.flush())])
        theirs = arrays[f"outputs{number}"]
        theirs = theirs[0] if len(theirs) == 1 else theirs
        if theirs.ndim == 1:
            ours = ours.mean(axis=0) if getattr(head.decoder, "pool", "last") == "mean" else ours[-1]
        found.append(float(np.abs(ours - theirs).max()) if ours.shape == theirs.shape else np.inf)
    return found


def compare(folder: Path) -> int:
    """Import each, stream its inputs in pieces, and tell the largest difference."""
    worst, failed = 0.0, 0
    for path in sorted(each for each in folder.iterdir() if each.suffix in (".keras", ".h5")):
        try:
            found = differences(path)
        except Exception as error:
            print(f"{path.name:24} {error}")
            failed += 1
            continue
        worst = max(worst, *found)
        failed += max(found) > MOST
        print(f"{path.name:24} {', '.join(f'{each:.1e}' for each in found)}")
    print(f"worst {worst:.1e}; {failed} failed")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit({"make": make, "compare": compare}[sys.argv[1]](Path(sys.argv[2])))

"""Imports beside PyTorch itself: state dictionaries as it writes them, live modules, and a network that it trained.

A command, as PyTorch is no package that tests need: ``python tests/against_torch.py`` where it is installed."""

from __future__ import annotations

import itertools
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from imported import streamed
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F  # noqa: N812
from torch.nn.utils import parametrizations
from torch_archive import pickled, state_dict

from ostinato.errors import ForeignModelError
from ostinato.importing import Settings, draft_settings, import_model
from ostinato.importing.torch import from_module
from ostinato.model.decoders import Labels
from ostinato.model.front_ends import FrontEnd, Tokens

CLOSE = 1e-5
"""The largest difference, of values up to about 1."""
TOKENS = Tokens(tuple("abcdefg"))


class Crnn(nn.Module):
    """Convolutions below a recurrence, two heads above."""

    def __init__(self) -> None:
        super().__init__()
        self.front = nn.Sequential(nn.Conv1d(20, 32, 3, padding=1), nn.BatchNorm1d(32), nn.ReLU())
        self.rnn = nn.LSTM(32, 24, num_layers=2, batch_first=True, bidirectional=True, dropout=0.3)
        self.drop, self.words, self.voice = nn.Dropout(), nn.Linear(48, 5), nn.Linear(48, 1)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        h, _ = self.rnn(self.front(x.transpose(1, 2)).transpose(1, 2))
        h = self.drop(h)
        return {"words": F.softmax(self.words(h), dim=-1), "voice": torch.sigmoid(self.voice(h)).squeeze(-1)}


class Tcn(nn.Module):
    """A causal block with weight normalisation: padded on both sides, the end cut off again; and a skip."""

    def __init__(self, dilation: int = 2) -> None:
        super().__init__()
        self.one = parametrizations.weight_norm(nn.Conv1d(6, 8, 3, padding=2 * dilation, dilation=dilation))
        self.two, self.skip, self.cut = nn.Conv1d(8, 8, 3, groups=4), nn.Conv1d(6, 8, 1), 2 * dilation

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = F.gelu(self.one(x)[:, :, : -self.cut].contiguous())
        return torch.relu(self.two(F.pad(y, (2, 0))) + self.skip(x))


class Gated(nn.Module):
    """Values side by side, products, constants, part of the values, a recurrence over [frames, batch]."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn, self.norm, self.gate = nn.GRU(6, 8), nn.LayerNorm(8), nn.Linear(14, 8)
        self.slope = nn.PReLU()

    def forward(self, x: torch.Tensor, h: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        y, h = self.rnn(x, h)
        z = torch.sigmoid(self.gate(torch.cat([self.norm(y), x], dim=-1)))
        return self.slope((1 - z) * y + z * 0.5 - y[..., 2:3] / 4), h


class Last(nn.Module):
    """A class for the utterance: of its last frame, and of the last state."""

    def __init__(self, recurrence: type[nn.Module]) -> None:
        super().__init__()
        self.rnn, self.end, self.state = recurrence(6, 8, batch_first=True), nn.Linear(8, 3), nn.Linear(8, 2)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        y, h = self.rnn(x)
        h = h[0] if isinstance(self.rnn, nn.LSTM) else h
        return self.end(y[:, -1]).softmax(1), self.state(h[-1])


class Normalised(nn.Module):
    """Constants, one for each value, before and after transposing; one weight that nobody uses."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.randn(6))
        self.register_buffer("std", torch.rand(6) + 0.5, persistent=False)
        self.scale, self.idle = nn.Parameter(torch.randn(4, 1)), nn.Linear(2, 2)
        self.conv = nn.Conv1d(6, 4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.conv(((x - self.mean) / self.std).permute(0, 2, 1)) * self.scale
        return 2 - y / (1 + y.abs() ** 2)


class Halves(nn.Module):
    """Parts of values, gates, products with parameters, and zeros to begin from, as tutorials have them."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn, self.weight = nn.LSTM(6, 8, batch_first=True), nn.Parameter(torch.randn(4, 6) / 2)
        self.norm = torch.nn.utils.parametrizations.spectral_norm(nn.Linear(6, 6))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = torch.zeros(1, x.size(0), 8).to(x.device)
        c = torch.zeros(1, x.shape[0], 8, device=x.device).requires_grad_()
        y, _ = self.rnn(self.norm(x), (h, c))
        one, other = y.chunk(2, dim=-1)
        return F.linear(one @ self.weight, self.weight) + F.glu(torch.cat([one, other], -1)) - other


class Tagger(nn.Module):
    """Token ids come in."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.rnn, self.tags = (
            nn.Embedding(7, 5),
            nn.LSTM(5, 6, proj_size=3, batch_first=True),
            nn.Linear(3, 4),
        )

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return torch.log_softmax(self.tags(self.rnn(self.table(ids))[0]), -1)


def activations() -> nn.Module:
    """All that are read."""
    return nn.Sequential(
        nn.Linear(6, 8), nn.ReLU6(), nn.LeakyReLU(0.2), nn.Linear(8, 8), nn.Hardswish(), nn.Linear(8, 8), nn.ELU(0.7),
        nn.Hardsigmoid(), nn.SELU(), nn.Linear(8, 8), nn.CELU(1.3), nn.SiLU(), nn.Softplus(), nn.Linear(8, 8),
        nn.GELU(), nn.GELU("tanh"), nn.Hardtanh(-0.5, 0.5), nn.Softsign(), nn.Tanh(), nn.Identity(), nn.Linear(8, 3),
        nn.Softmax(-1),
    )  # fmt: skip


LIVE: dict[str, tuple[Callable[[], nn.Module], FrontEnd | int]] = {
    "RNN": (lambda: nn.RNN(6, 8, num_layers=2, nonlinearity="relu", bias=False), 6),
    "GRU, 2 layers, both ways": (lambda: nn.GRU(6, 8, 2, bidirectional=True, batch_first=True), 6),
    "LSTM, projected": (lambda: nn.LSTM(6, 8, proj_size=3, num_layers=2, bidirectional=True), 6),
    "convolutions and both ways": (Crnn, 20),
    "causal convolutions, normalised weights": (Tcn, 6),
    "gates and slices": (Gated, 6),
    "the last frame of a GRU": (lambda: Last(nn.GRU), 6),
    "the last frame of an LSTM": (lambda: Last(nn.LSTM), 6),
    "constants": (Normalised, 6),
    "halves and zeros": (Halves, 6),
    "tokens": (Tagger, TOKENS),
    "activations": (activations, 6),
    "down and up": (
        lambda: nn.Sequential(
            nn.Conv1d(6, 8, 4, stride=2, padding=1), nn.PReLU(8),
            nn.ConvTranspose1d(8, 6, 4, stride=2, padding=1, groups=2), nn.MaxPool1d(3, 1, 1), nn.AvgPool1d(2),
        ),
        6,
    ),
    "padding same": (lambda: nn.Sequential(nn.Conv1d(6, 4, 4, padding="same", dilation=2), nn.BatchNorm1d(4)), 6),
}  # fmt: skip


def shaken(module: nn.Module) -> nn.Module:
    """With statistics of batch normalisation that are not those of the start."""
    for name, buffer in module.named_buffers():
        if buffer.dtype.is_floating_point and "running" in name:
            buffer.copy_(torch.rand_like(buffer) + 0.5)
    return module.eval()


def live() -> Iterator[tuple[str, float]]:
    for name, (make, front_end) in LIVE.items():
        torch.manual_seed(0)
        imported = from_module(shaken(make()), front_end)
        yield f"live module: {name}", imported.parity.largest


def archives(folder: Path) -> Iterator[tuple[str, float]]:
    """The files that tests write are those of torch.save, byte for byte."""
    for module in (Crnn(), Tagger(), nn.Linear(2, 3)):
        torch.save(module.state_dict(), folder / "a.pt")
        arrays = {name: tensor.numpy() for name, tensor in module.state_dict().items()}
        ours, _ = pickled(state_dict(arrays, {name: each._version for name, each in module.named_modules()}))
        with zipfile.ZipFile(folder / "a.pt") as archive:
            yield f"pickle of {type(module).__name__} (0: the same bytes)", float(archive.read("a/data.pkl") != ours)


def state_dictionaries(folder: Path) -> Iterator[tuple[str, float]]:
    """Drafted, with what names cannot tell said by hand, and compared with recorded outputs."""
    torch.manual_seed(0)
    module = shaken(Crnn())
    x = torch.randn(1, 60, 20)
    with torch.no_grad():
        y = module.words(module.rnn(module.front(x.transpose(1, 2)).transpose(1, 2))[0])[0]  # logits
    np.savez(folder / "expect.npz", inputs=x[0].numpy(), outputs=y.numpy())
    state = module.state_dict()
    torch.save(state, folder / "net.pt")
    torch.save({"epoch": 1, "state_dict": {f"module.{key}": value for key, value in state.items()}}, folder / "ck.pt")
    save_file(state, folder / "net.safetensors")
    for name in ("net.pt", "ck.pt", "net.safetensors"):
        text = draft_settings(folder / name).replace("padding = 0", "padding = 1")
        relu = '[[nodes]]\nname = "relu"\nkind = "activate"\nactivation = "relu"\n\n'
        at = text.index("[[nodes]]", text.index('torch = "front.1"'))
        at = text.rindex("\n\n", 0, at) + 2
        text = (text[:at] + relu + text[at:]).split("\n[[heads]]")[0]
        (folder / "spec.toml").write_text(
            f'{text}\n[[heads]]\nname = "a"\nnode = "words"\n[[heads]]\nname = "b"\nnode = "voice"'
        )
        imported = import_model(folder / name, Settings.of(folder / "spec.toml"), expect=folder / "expect.npz")
        yield f"state dictionary: {name}", imported.parity.largest


def trained(folder: Path) -> Iterator[tuple[str, float]]:
    """A network that PyTorch trains here: of two pulses, whether their order was first, second, or the reverse."""
    torch.manual_seed(0)

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn, self.out = nn.GRU(2, 32, batch_first=True), nn.Linear(32, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.out(self.rnn(x)[0])

    def batch(count: int) -> tuple[torch.Tensor, torch.Tensor]:
        label = torch.randint(0, 2, (count,))
        x = 0.1 * torch.randn(count, 40, 2)
        x[torch.arange(count), torch.randint(0, 15, (count,)), label] += 1
        x[torch.arange(count), torch.randint(20, 35, (count,)), 1 - label] += 1
        return x, label

    net = Net()
    optimizer = torch.optim.Adam(net.parameters(), 5e-3)
    for _ in range(300):
        x, label = batch(64)
        loss = F.cross_entropy(net(x)[:, -1], label)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    x, label = batch(200)
    with torch.no_grad():
        y = net(x)
    torch.save(net.state_dict(), folder / "order.pt")
    (folder / "spec.toml").write_text(draft_settings(folder / "order.pt"))
    imported = import_model(folder / "order.pt", Settings.of(folder / "spec.toml"))
    ours = np.stack([streamed(imported.network, each.numpy()) for each in x[:50]])
    right, theirs = ((made[:50, -1].argmax(1) == label[:50].numpy()).mean() for made in (ours, y.numpy()))
    print(f"  trained by PyTorch: {right:.0%} of the orders are right when streamed, {theirs:.0%} in PyTorch")
    yield "state dictionary of a trained network", float(np.abs(ours - y[:50].numpy()).max())
    labels = from_module(net, 2, Settings(decoder=Labels(("first", "second"))))
    yield "the same, live, with labels", labels.parity.largest


class Ends(nn.Module):
    def __init__(self, rnn: nn.Module) -> None:
        super().__init__()
        self.rnn = rnn

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.rnn(x)[0][:, -1]


class Depends(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x if x.sum() > 0 else -x


def refused(folder: Path) -> Iterator[tuple[str, float]]:
    torch.save(nn.Linear(2, 2), folder / "whole.pt")
    torch.save(nn.Linear(2, 2).state_dict(), folder / "legacy.pt", _use_new_zipfile_serialization=False)
    torch.jit.script(nn.Sequential(nn.Linear(2, 2))).save(folder / "script.pt")
    for name in ("whole.pt", "legacy.pt", "script.pt"):
        yield from says(name, lambda name=name: import_model(folder / name))
    both = nn.GRU(6, 4, batch_first=True, bidirectional=True)
    for module in (
        Depends(),
        Ends(both),
        nn.Conv2d(1, 1, 3),
        nn.TransformerEncoderLayer(6, 2),
        nn.InstanceNorm1d(6),
    ):
        yield from says(type(module).__name__, lambda module=module: from_module(module, 6))


def says(what: str, call: Callable[[], Any]) -> Iterator[tuple[str, float]]:
    """Print the error that it must give."""
    try:
        call()
    except ForeignModelError as error:
        print(f"  {what} is refused: {error}")
        yield f"{what} refused", 0.0
    else:
        yield f"{what} refused", np.inf


def main() -> int:
    """All of it; 1 if anything is too far off."""
    print(f"PyTorch {torch.__version__}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        worst = 0.0
        parts = archives(folder), live(), state_dictionaries(folder), trained(folder), refused(folder)
        for what, largest in itertools.chain(*parts):
            print(f"{largest:8.1e}  {what}")
            worst = max(worst, largest)
    print(f"largest difference {worst:.1e}: {'equal' if worst < CLOSE else 'NOT EQUAL'} within {CLOSE:g}")
    return int(not worst < CLOSE)


if __name__ == "__main__":
    sys.exit(main())

"""The yardstick of bench/training.py: PyG as its tutorials use it, DataLoader over a list of graphs and SAGEConv."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn

from herd_tracking import Events


class StockNetwork(nn.Module):
    """18 x SAGEConv(mean, 128) with ReLU and a linear head."""

    def __init__(self, features: int, layers: int = 18, hidden: int = 128) -> None:
        from torch_geometric.nn import SAGEConv

        super().__init__()
        widths = [features] + [hidden] * (layers - 1)
        self.convs = nn.ModuleList(SAGEConv(width, hidden, aggr="mean") for width in widths)
        self.head = nn.Linear(hidden, 1)

    def forward(self, x: torch.Tensor, edge_index: torch.Tensor) -> torch.Tensor:
        """Logits, f32[N]."""
        for conv in self.convs:
            x = conv(x, edge_index).relu()
        return self.head(x).squeeze(1)


def graphs(events: Events) -> list[Any]:
    """The same events as PyG's `Data`, one each."""
    from torch_geometric.data import Data

    made = []
    for number in range(len(events)):
        one = events.take(number, number + 1)
        to = torch.arange(len(one.y)).repeat_interleave(torch.from_numpy(one.degree.astype("int64")))
        edge_index = torch.stack([torch.from_numpy(one.src.astype("int64")), to])
        y = torch.from_numpy(one.y.astype("float32"))
        made.append(Data(x=torch.from_numpy(one.x.copy()), edge_index=edge_index, y=y))
    return made


def stepper(events: Events, batch_events: int, device: str = "cpu") -> Callable[[], None]:
    """A function that loads a batch and does a step of training on it, over and over through ``events``."""
    from torch_geometric.loader import DataLoader

    loader = DataLoader(graphs(events), batch_size=batch_events, shuffle=True, drop_last=True)
    network = StockNetwork(events.x.shape[1]).to(device)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    batches = _forever(loader)

    def step() -> None:
        batch = next(batches).to(device)
        optimizer.zero_grad()
        logits = network(batch.x, batch.edge_index)
        nn.functional.binary_cross_entropy_with_logits(logits, batch.y).backward()
        optimizer.step()

    return step


def _forever(loader: Any) -> Iterator[Any]:
    while True:
        yield from loader

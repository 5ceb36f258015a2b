"""Batches: they are the events that they were packed from, whoever shares them, and bad events are named."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from herd_tracking.dataset import Loader, check_events, reading
from herd_tracking.dataset import loader as loading
from herd_tracking.dataset.packing import first_one_way
from herd_tracking.events import TrackingError


def as_sets(batches):
    return [set(batch.event.tolist()) for batch in batches]


@pytest.fixture
def small_windows(monkeypatch):
    """Windows and pieces much smaller than the dataset, so that batches and pieces lie across them."""
    monkeypatch.setattr(loading, "WINDOW_EVENTS", 150)
    monkeypatch.setattr(reading, "PIECE_EVENTS", 37)


@pytest.mark.parametrize("is_resident", [False, True], ids=["read", "resident"])
@pytest.mark.parametrize("split", ["train", "test"])
def test_batch_is_the_events_that_it_was_packed_from(write, some_events, small_windows, split, is_resident):
    # given a dataset in four shards
    loader = Loader(write(some_events), split, 64, seed=3, is_resident=is_resident)
    seen = []
    for batch in loader:
        # when each event of a batch is compared with the one that it is
        for place, number in enumerate(batch.event.tolist()):
            event = some_events.take(number, number + 1)
            first, last = batch.node_ptr[place : place + 2].tolist()
            # then features, labels, rows, neighbours and 1/degree are its own
            np.testing.assert_array_equal(batch.x[first:last].numpy(), event.x)
            np.testing.assert_array_equal(batch.y[first:last].numpy(), event.y)
            rows = batch.rowptr[first : last + 1].numpy()
            np.testing.assert_array_equal(np.diff(rows), event.degree)
            np.testing.assert_array_equal(batch.src[rows[0] : rows[-1]].numpy() - first, event.src)
            with np.errstate(divide="ignore"):
                want = np.where(event.degree > 0, 1 / event.degree, 0)
            np.testing.assert_allclose(batch.inverse_degree[first:last].numpy(), want, rtol=1e-6)
        assert batch.rowptr[-1] == len(batch.src) and batch.node_ptr[-1] == len(batch.y)
        seen += batch.event.tolist()
    assert sorted(seen) == loader.numbers.tolist()


@pytest.mark.parametrize(
    "arguments",
    [{}, {"rank": 1, "world": 3}, {"node_budget": 4000, "edge_budget": 40_000}, {"shuffle": False}],
    ids=str,
)
def test_resident_batches_are_those_that_are_read(write, some_events, small_windows, arguments):
    dataset = write(some_events)
    read, resident = (
        list(Loader(dataset, "train", 64, is_resident=one, **arguments)) for one in (False, True)
    )
    assert len(read) == len(resident) > 1
    for one, other in zip(read, resident, strict=True):
        for name, value in vars(one).items():
            if value is not None:
                torch.testing.assert_close(getattr(other, name), value, rtol=0, atol=1e-7)


def test_order_does_not_depend_on_shards(write, some_events):
    batches = [
        [batch.event.tolist() for batch in Loader(write(some_events, size, f"by {size}"), "train", 64)]
        for size in (250, 1500)
    ]
    assert batches[0] == batches[1]


@pytest.mark.parametrize("first", [1, 5])
def test_epoch_goes_on_from_a_batch(write, some_events, small_windows, first):
    loader = Loader(write(some_events), "train", 64, rank=1, world=2)
    whole = [batch.event.tolist() for batch in loader]
    assert [batch.event.tolist() for batch in loader.batches(first)] == whole[first:]


@pytest.mark.parametrize("world", [2, 3, 7])
def test_workers_see_the_global_batches_that_one_sees(write, some_events, world):
    dataset = write(some_events)
    alone = as_sets(Loader(dataset, "train", 100, seed=1))
    shared = [as_sets(Loader(dataset, "train", 100, seed=1, rank=rank, world=world)) for rank in range(world)]
    assert [set().union(*parts) for parts in zip(*shared, strict=True)] == alone
    assert sum(len(one) for parts in shared for one in parts) == sum(map(len, alone))


def test_worker_without_an_event_still_gets_a_batch(write, some_events):
    loader = Loader(write(some_events), "train", 256, limit=1, rank=1, world=2)
    (batch,) = loader
    assert len(batch.event) == 0 and batch.x.shape == (0, 7) and batch.rowptr.tolist() == [0]


def test_batches_of_one_shape_hold_every_event_once_and_mask_the_rest(write, some_events):
    loader = Loader(write(some_events), "train", seed=2, node_budget=3000, edge_budget=30_000)
    seen = []
    batches = list(loader)
    assert len(batches) == len(loader)
    for batch in batches:
        assert batch.x.shape == (3000, 7) and batch.src.shape == (30_000,) and batch.rowptr[-1] == 30_000
        hits = int(batch.node_ptr[-1])
        assert batch.mask.sum() == hits and batch.mask[:hits].all() and not batch.inverse_degree[hits:].any()
        assert (batch.src[batch.rowptr[hits] :] >= hits).all()
        seen += batch.event.tolist()
    assert sorted(seen) == loader.numbers.tolist()


def test_event_larger_than_the_budget_is_named(write, some_events):
    dataset = write(some_events)
    numbers = dataset.split("train").numbers
    hits = np.diff(some_events.node_ptr)[numbers]
    worst = numbers[np.argmax(hits)]
    with pytest.raises(
        TrackingError, match=f"event {worst} has {hits.max()} nodes; the node_budget leaves room for 59"
    ):
        Loader(dataset, "train", node_budget=60, edge_budget=10**6)


def test_shard_that_vanishes_while_training_is_named(write, some_events):
    dataset = write(some_events)
    loader = Loader(dataset, "train", 64)
    shutil.rmtree(dataset.directory / "shard-00000")
    with pytest.raises(TrackingError, match="shard-00000/.*is missing"):
        list(loader)


def test_shard_that_is_cut_off_while_training_is_named(write, some_events, small_windows):
    # given a training that has begun
    dataset = write(some_events)
    batches = iter(Loader(dataset, "train", 64, shuffle=False))
    next(batches)
    # when the last shard loses its end
    path = dataset.directory / "shard-00003" / "x.npy"
    path.write_bytes(path.read_bytes()[:1000])
    # then the epoch ends with its name, not with a signal from the system
    with pytest.raises(TrackingError, match="shard-00003/x.npy: truncated"):
        list(batches)


def test_every_piece_is_announced_once_and_before_it_is_read(write, some_events, small_windows, monkeypatch):
    # given a reader that notes what it tells the system and what it reads
    told: list[tuple[str, int, int]] = []
    read: list[tuple[str, int, int]] = []
    fill, found = reading.Reader._fill, reading.Reader._read

    def noting_fill(self, *piece):
        monkeypatch.setattr(reading.Reader, "_read", noting_read)
        fill(self, *piece)
        monkeypatch.setattr(reading.Reader, "_read", found)

    def noting_read(self, shard, name, first, last):
        values = found(self, shard, name, first, last)
        if not name.endswith("_ptr"):
            path = self._path(shard, name)
            begin = self._described(shard, name)[1] + first * values.nbytes // max(last - first, 1)
            read.append((str(path), int(begin), values.nbytes))
            assert read[-1] in told
        return values

    def noting_advise(file, offset, count):
        told.append((str(Path(f"/proc/self/fd/{file}").readlink()), offset, count))

    monkeypatch.setattr(reading.Reader, "_fill", noting_fill)
    monkeypatch.setattr(reading, "_advise", noting_advise)
    # when all events are read
    list(Loader(write(some_events), "train", 64, seed=2))
    # then the same was told, in the same order
    assert len(read) > 40
    for name in ("x", "y", "degree", "src"):
        assert [one for one in told if one[0].endswith(f"/{name}.npy")] == [
            one for one in read if one[0].endswith(f"/{name}.npy")
        ]


@pytest.mark.parametrize("name", ["node_ptr", "edge_ptr"])
def test_pointers_that_do_not_rise_are_named(write, some_events, name):
    dataset = write(some_events)
    path = dataset.directory / "shard-00001" / f"{name}.npy"
    pointer = np.load(path)
    pointer[100:300:2] = 2 * pointer[-1]
    np.save(path, pointer)
    with pytest.raises(TrackingError, match=f"shard-00001: field {name}: must rise"):
        Loader(dataset, "train", 64)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_value_that_is_not_finite_is_named(write, some_events, value):
    dataset = write(some_events)
    path = dataset.directory / "shard-00000" / "x.npy"
    x = np.load(path)
    x[0, 4] = value
    np.save(path, x)
    with pytest.raises(
        TrackingError, match="shard-00000: event 0 .*field x, feature log_adc: is .* at hit 0"
    ):
        for split in ("train", "validation", "test"):
            list(Loader(dataset, split, 64))


def test_two_passes_at_once_see_the_same_batches(write, some_events, small_windows):
    # given a loader that is read from in two places, whose windows are read by two threads
    loader = Loader(write(some_events), "train", 16)
    alone = list(loader)
    # when both go on in turn, many times, then neither sees what the other one reads
    for _ in range(10):
        for want, one, other in zip(alone, loader, loader, strict=True):
            assert torch.equal(one.x, want.x) and torch.equal(other.x, want.x)
            assert torch.equal(one.src, want.src) and torch.equal(other.src, want.src)


def test_wrong_neighbours_are_named_before_they_are_used(write, some_events):
    dataset = write(some_events)
    path = dataset.directory / "shard-00000" / "src.npy"
    src = np.load(path)
    src[:] = 255
    np.save(path, src)
    with pytest.raises(TrackingError, match="shard-00000: event .*field src: 255 is no hit of it"):
        list(Loader(dataset, "train", 64))


@pytest.mark.parametrize(
    "arguments",
    [
        {"batch_events": 0},
        {"rank": 2, "world": 2},
        {"node_budget": 10},
        {"limit": 0},
        {"limit": -1},
        {"seed": -1},
    ],
    ids=str,
)
def test_wrong_arguments_are_refused(write, some_events, arguments):
    with pytest.raises(TrackingError):
        Loader(write(some_events), "train", **arguments)


def _set(index, value):
    def change(array):
        array[index] = value

    return change


def test_good_events_pass(some_events):
    check_events(some_events)


@settings(deadline=None)  # the first call compiles
@given(st.integers(0, 2**32))
def test_neighbours_need_not_be_sorted(seed):
    # given rings of hits, each a neighbour of those beside it, named in any order
    draw = np.random.default_rng(seed)
    hits = draw.integers(3, 8, 4)
    rows = [draw.permutation([(i - 1) % n, (i + 1) % n]) for n in hits for i in range(n)]
    node_ptr = np.concatenate([[0], np.cumsum(hits)])
    src, degree = np.concatenate(rows).astype(np.uint8), np.full(hits.sum(), 2, np.uint8)
    # then all edges are there in both directions
    assert first_one_way(node_ptr, 2 * node_ptr, degree, src) == (-1, -1, -1)
    # and when one hit's neighbour is another hit than those, it is said
    at = int(draw.integers(len(src)))
    hit, event = at // 2, int(np.searchsorted(2 * node_ptr, at, side="right")) - 1
    src[at] = hit - node_ptr[event]
    assert first_one_way(node_ptr, 2 * node_ptr, degree, src)[0] == event


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"x": _set((3, 6), np.nan)}, "event 0 .*feature axis_residual: is nan at hit 3"),
        ({"event": _set((2, 0), np.inf)}, "event 2 .*column energy_gev: is inf"),
        ({"y": _set(slice(None), 0)}, "field y: all .* hits are 0"),
        ({"y": _set(5, 2)}, "event 0 .*field y: 2; allowed are 0 to 1"),
        ({"plane": _set(0, 200)}, "field plane: 200; allowed are 0 to 69"),
        ({"degree": _set(0, 0)}, "event 0 .*field degree: adds up to"),
        ({"src": _set(0, 255)}, "event 0 .*field src: 255 is no hit of it"),
        ({"src": lambda src: _set(0, (src[0] + 1) % 70)(src)}, "event 0 .*not the other way round"),
        ({"node_ptr": _set(4, 0)}, "field node_ptr: must rise"),
        ({"x": lambda x: x[:, :3]}, "field x: has shape"),
        ({"plane": lambda plane: plane[:-5]}, "field plane: has .* rows, should have"),
        ({"hit_class": lambda kind: kind[:-5]}, "field hit_class: has .* rows, should have"),
        (
            {"degree": lambda degree: np.append(degree, degree[:1] * 0)},
            "field degree: has .* rows, should have",
        ),
        ({"event": lambda event: event[:-1]}, "field event: has 9 rows, should have 10"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_wrong_with_events_is_said(spoiled, changes, said):
    with pytest.raises(TrackingError, match=said):
        check_events(spoiled(**changes))


def test_event_without_hits_or_edges_is_named(spoiled):
    empty = spoiled(node_ptr=lambda pointer: np.where(np.arange(11) == 3, pointer[4], pointer))
    with pytest.raises(TrackingError, match="event 3 .*has no hits"):
        check_events(empty)
    without = spoiled(edge_ptr=lambda pointer: np.where(np.arange(11) == 3, pointer[4], pointer))
    with pytest.raises(TrackingError, match="event 3 .*has no edges"):
        check_events(without)

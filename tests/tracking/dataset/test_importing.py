"""Events of Parquet and ROOT files: they become what the simulation made, and what is wrong with a file is said."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import typer
from typer.testing import CliRunner

from herd_tracking.commands import dataset as commands
from herd_tracking.dataset import importing
from herd_tracking.dataset.importing import import_dataset
from herd_tracking.events import ARRAYS, EVENT_COLUMNS, TrackingError

EVENTS = 60


@pytest.fixture(scope="module")
def few(some_events):
    return some_events.take(0, EVENTS)


@pytest.fixture
def columns(few):
    """The columns of a file with ``few``: lists of lists for hits; a test may spoil them."""
    adc = 100 * np.expm1(few.feature("log_adc").astype(float))
    per_hit = {
        "coordinate_cm": few.coordinate_cm(),
        "adc": adc,
        "channels": np.round(np.exp(few.feature("log_size").astype(float))),
        "plane": few.plane,
        "hit_class": few.hit_class,
    }
    lists = {name: np.split(values, few.node_ptr[1:-1]) for name, values in per_hit.items()}
    return {
        **{name: [one.tolist() for one in values] for name, values in lists.items()},
        "event_id": few.event_id,
        **{name: few.column(name) for name in EVENT_COLUMNS},
    }


def write_parquet(path, columns):
    pq.write_table(pa.table(columns), path)


def write_root(path, columns, tree="events"):
    import awkward as ak
    import uproot

    with uproot.recreate(path) as file:
        file.mktree(tree, {name: ak.Array(values).type.content for name, values in columns.items()})
        file[tree].extend({name: ak.Array(values) for name, values in columns.items()})


def write_rntuple(path, columns):
    import awkward as ak
    import uproot

    with uproot.recreate(path) as file:
        file.mkrntuple("events", {name: ak.Array(values) for name, values in columns.items()})


WRITERS = {"parquet": write_parquet, "root": write_root}


@pytest.fixture
def imported(tmp_path):
    """Factory: these columns, in a file of this kind, imported."""

    def import_(columns, kind="parquet", **arguments):
        path = tmp_path / f"events.{kind}"
        WRITERS[kind](path, columns)
        return import_dataset([path], tmp_path / "made", progress=False, **arguments)

    return import_


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize("at_a_time", [7, 1000])
def test_imported_events_are_those_of_the_file(imported, columns, few, kind, at_a_time, monkeypatch):
    # given a file of either kind, read in pieces
    monkeypatch.setattr(importing, "EVENTS_AT_A_TIME", at_a_time)
    # when it is imported
    events = imported(columns, kind).dataset.events()
    # then graphs, labels and features are those that the simulation made
    for name in ARRAYS:
        tolerance = {"rtol": 1e-4, "atol": 1e-4} if name in ("x", "event") else {"rtol": 0}
        np.testing.assert_allclose(getattr(events, name), getattr(few, name), err_msg=name, **tolerance)


@pytest.mark.parametrize("kind", WRITERS)
def test_names_of_herdsoftware_collections_and_given_names_are_found(imported, columns, few, kind):
    # given columns with the names of their collections, one with another name, and the place as three columns
    place = columns.pop("plane")
    parts = {"hit_sector": (14, 5), "superlayer": (2, 7), "view": (1, 2)}
    for name, (divisor, modulus) in parts.items():
        columns[name] = [[plane // divisor % modulus for plane in one] for one in place]
    hits = (*parts, "coordinate_cm", "adc", "channels", "hit_class")
    renamed = {
        f"fitClustersCollADC_{name}" if name in hits else f"MCTruth_{name}": values
        for name, values in columns.items()
    }
    renamed["cluster_charge"] = renamed.pop("fitClustersCollADC_adc")
    # when they are imported
    events = imported(renamed, kind, names={"adc": "cluster_charge"}).dataset.events()
    # then they are the same events
    np.testing.assert_array_equal(events.plane, few.plane)
    np.testing.assert_array_equal(events.event_id, few.event_id)
    np.testing.assert_allclose(events.feature("log_adc"), few.feature("log_adc"), atol=1e-4)


def test_rntuple_is_read_as_a_tree_is(tmp_path, columns, few):
    write_rntuple(tmp_path / "events.root", columns)
    events = import_dataset([tmp_path / "events.root"], tmp_path / "made", progress=False).dataset.events()
    np.testing.assert_array_equal(events.src, few.src)


def test_labels_without_classes_and_ids_that_are_missing_are_made(imported, columns, few):
    del columns["event_id"]
    columns["is_signal"] = [[number == 0 for number in one] for one in columns.pop("hit_class")]
    events = imported(columns).dataset.events()
    np.testing.assert_array_equal(events.y, few.y)
    assert set(events.hit_class.tolist()) == {0, 2}
    np.testing.assert_array_equal(events.event_id, np.arange(EVENTS))


def spoil(name, event, value, hit=None):
    def change(columns):
        values = list(columns[name])
        if hit is None:
            values[event] = value
        else:
            values[event] = [*values[event]]
            values[event][hit] = value
        columns[name] = values

    return change


def contradictory(event):
    def change(columns):
        columns["is_signal"] = [[int(kind == 0) for kind in one] for one in columns["hit_class"]]
        columns["is_signal"][event] = [0] * len(columns["is_signal"][event])

    return change


def without(name):
    return lambda columns: columns.pop(name)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (without("adc"), "missing adc; it has .*channels"),
        (without("plane"), r"missing plane \(or hit_sector, superlayer, view\)"),
        (without("hit_class"), r"missing hit_class \(or is_signal\)"),
        (without("energy_gev"), "missing energy_gev"),
        (spoil("coordinate_cm", 7, float("nan"), hit=2), "event 7: column coordinate_cm: nan; .* finite"),
        (spoil("adc", 8, float("inf"), hit=0), "event 8: column adc: inf"),
        (spoil("plane", 9, 70, hit=1), "event 9: column plane: 70; allowed are whole numbers from 0 to 69"),
        (spoil("plane", 9, -1, hit=1), "event 9: column plane: -1;"),
        (spoil("hit_class", 3, 4, hit=1), "event 3: column hit_class: 4; .* 0 to 3"),
        (spoil("channels", 3, 0.0, hit=0), "event 3: column channels: 0.0; allowed are numbers above 0"),
        (spoil("adc", 5, [1.0]), "event 5: column adc has 1 values, coordinate_cm has"),
        (spoil("sector", 2, 5.0), "event 2: column sector: 5.0; allowed are whole numbers from 0 to 4"),
        (spoil("direction_z", 4, 3.0), "event 4: columns direction_x, _y, _z: a vector of length 3"),
        (
            spoil("coordinate_cm", 7, 500.0, hit=2),
            r"event 7: column coordinate_cm: 500; allowed in plane \d+ are -.* cm",
        ),
        (spoil("adc", 8, 1e300, hit=0), r"event 8: column adc: 1e\+300; allowed"),
        (spoil("energy_gev", 6, float("inf")), "event 6: column energy_gev: inf"),
        (
            spoil("axis_point_y_cm", 6, -2e4),
            "event 6: column axis_point_y_cm: -20000.0; allowed are -10000 to 10000 cm",
        ),
        (
            contradictory(11),
            r"event 11: columns hit_class, is_signal: 0 \(primary\) and 0; is_signal must be 1",
        ),
        (spoil("energy_gev", 6, 0.0), "event 6: column energy_gev: 0.0; allowed are numbers above 0"),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)
@pytest.mark.parametrize("kind", WRITERS)
def test_what_is_wrong_with_a_file_is_said(imported, columns, change, said, kind, tmp_path):
    change(columns)
    with pytest.raises(TrackingError, match=f"(?s)events.{kind}.*{said}"):
        imported(columns, kind)
    assert not (tmp_path / "made" / "dataset.json").exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (spoil("energy_gev", 6, None), "column energy_gev: has 1 nulls"),
        (spoil("adc", 6, None), "column adc: has 1 nulls"),
        (spoil("adc", 6, None, hit=0), "column adc: has 1 nulls"),
        (lambda columns: columns.update(adc=["much"] * EVENTS), "column adc: is string; only numbers"),
        (lambda columns: columns.update(adc=[1.0] * EVENTS), "column adc: must be a list for each event"),
        (
            lambda columns: columns.update(pdg=[[11]] * EVENTS),
            "column pdg: must be one number for each event",
        ),
        (lambda columns: columns.update(event_id=[4] * EVENTS), "column event_id: 4 comes again"),
    ],
    ids=["null", "null list", "null in list", "text", "no list", "a list", "id twice"],
)
def test_columns_of_the_wrong_kind_are_named(imported, columns, change, said):
    change(columns)
    with pytest.raises(TrackingError, match=said):
        imported(columns)


def empty(columns, event):
    for name in ("coordinate_cm", "adc", "channels", "plane", "hit_class"):
        spoil(name, event, [])(columns)


def test_event_without_hits_is_refused_or_left_out_and_counted(imported, columns, few):
    # given a file whose eleventh event has no hits
    empty(columns, 10)
    # when it is imported as it is, then that event is named
    with pytest.raises(TrackingError, match="event 10 .*has no hits"):
        imported(columns)
    # when such events may be left out, then it is, and is counted
    made = imported(columns, leave_out_empty=True)
    assert made.left_out == 1
    assert made.dataset.events().event_id.tolist() == np.delete(few.event_id, 10).tolist()


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize("kept", [0.0, 0.4, 0.99], ids=["empty", "begun", "almost"])
def test_file_that_is_cut_off_is_refused(tmp_path, columns, kind, kept):
    path = tmp_path / f"events.{kind}"
    WRITERS[kind](path, columns)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept * len(whole))])
    with pytest.raises(TrackingError, match=f"events.{kind}.*truncated"):
        import_dataset([path], tmp_path / "made", progress=False)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("events.root", "PNG", "no ROOT file"),
        ("events.parquet", "PNG", "no Parquet file"),
        ("events.h5", "", "ends with '.h5'; allowed are .parquet, .pq, .root"),
        ("none.root", None, "there is no such file"),
        ("none.pq", None, "there is no such file"),
    ],
)
def test_foreign_file_is_refused(tmp_path, name, text, said):
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(TrackingError, match=said):
        import_dataset([tmp_path / name], tmp_path / "made", progress=False)


def test_tree_must_be_said_where_there_are_several(tmp_path, columns):
    import uproot

    path = tmp_path / "two.root"
    write_root(path, columns, "mc")
    with uproot.update(path) as file:
        file.mktree("other", {"a": "int64"})
    with pytest.raises(TrackingError, match=r"has 2 trees \(mc, other\); say which one with --tree"):
        import_dataset([path], tmp_path / "made", progress=False)
    with pytest.raises(TrackingError, match="has no tree data; it has mc, other"):
        import_dataset([path], tmp_path / "made", tree="data", progress=False)
    assert len(import_dataset([path], tmp_path / "made", tree="mc", progress=False).dataset) == EVENTS


@pytest.fixture
def app():
    made = typer.Typer()
    made.callback()(lambda: None)
    commands.register(made)
    return made


def test_command_imports_and_says_so(app, tmp_path, columns):
    columns["charge"] = columns.pop("adc")
    write_parquet(tmp_path / "events.parquet", columns)
    arguments = ["import", str(tmp_path / "events.parquet"), str(tmp_path / "made"), "--name", "adc=charge"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0 and f"wrote {EVENTS} events to" in done.output
    assert (tmp_path / "made" / "dataset.json").is_file()


def test_layout_is_shown_without_a_file(app):
    done = CliRunner().invoke(app, ["import", "--layout"])
    said = " ".join(done.output.split())
    assert done.exit_code == 0
    for words in ("coordinate_cm", "axis_direction_x", "not been verified"):
        assert words in said

using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Storage;
using CdcOrleans.Storage.Postgres;
using CsCheck;
using Xunit;
using static CdcOrleans.Unit.Storage.CheckpointShapes;

namespace CdcOrleans.Unit.Storage;

public class StateSlicesTests
{
    [Fact]
    public void States_come_sorted_once_each_and_the_newest_wins() =>
        Gen.Select(Gen.Int[1, 3], Gen.Int[0, 20], Gen.ULong[1, 50]).List[0, 200].Sample(given =>
        {
            var states = given.Select(g => (g.Item2.ToString(), new EntityState(At(g.Item3), Table(g.Item1), default, false))).ToList();
            var half = states.Count / 2;
            var checkpoint = new Checkpoint("s", 1, [Partition(0, states: states[..half]), Partition(1, states: states[half..])]);
            var rows = Slices(checkpoint).SelectMany(s => s).ToList();

            var expected = states
                .GroupBy(s => (s.Item2.Table.TableId, Key: s.Item1))
                .OrderBy(g => g.Key.TableId).ThenBy(g => g.Key.Key, StringComparer.Ordinal)
                .Select(g => (g.Key.TableId, g.Key.Key, g.Max(s => s.Item2.Version)))
                .ToList();
            return expected.SequenceEqual(rows.Select(r => (r.State.Table.TableId, r.Key, r.State.Version)));
        });

    [Fact]
    public void Slices_are_bounded_in_rows()
    {
        var states = Enumerable.Range(0, 4500).Select(i => (i.ToString(), new EntityState(At(1), Table(), default, false)));
        var sizes = Slices(new Checkpoint("s", 1, [Partition(0, states: states)])).Select(s => s.Count);
        Assert.Equal([2000, 2000, 500], sizes);
    }

    [Fact]
    public void Slices_are_bounded_in_bytes_and_a_giant_goes_alone()
    {
        EntityState Sized(int bytes) => new(At(1), Table(), new RowImage(new byte[bytes]), false);
        var states = new[] { ("a", Sized(10 << 20)), ("b", Sized(10 << 20)), ("c", Sized(30 << 20)), ("d", Sized(1)), ("e", Sized(1)) };
        var slices = Slices(new Checkpoint("s", 1, [Partition(0, states: states)])).Select(s => string.Concat(s.Select(r => r.Key)));
        Assert.Equal(["a", "b", "c", "de"], slices);
    }

    [Fact]
    public void No_states_make_no_slice() => Assert.Empty(Slices(new Checkpoint("s", 1, [Partition(0)])));

    [Fact]
    public void A_row_that_is_too_large_is_left_out_and_named()
    {
        EntityState Sized(int bytes) => new(At(1), Table(), new RowImage(new byte[bytes]), false);
        var leftOut = new List<EntityKey>();
        var checkpoint = new Checkpoint("s", 1, [Partition(0, states: [("a", Sized(11)), ("b", Sized(10))])]);
        var rows = StateSlices.Of(checkpoint, mostOfOne: 10, leftOut).SelectMany(s => s.Rows).ToArray();
        Assert.Equal([("a", RowAbsence.TooLarge, 0), ("b", RowAbsence.None, 10)], rows.Select(r => (r.Key, r.State.Absence, r.State.Row.Size)));
        Assert.All(rows, r => Assert.Equal(At(1), r.State.Version));
        Assert.Equal([new EntityKey("public.orders", "a")], leftOut);
    }

    private static IEnumerable<ArraySegment<StateRow>> Slices(Checkpoint checkpoint) => StateSlices.Of(checkpoint, int.MaxValue, []).Select(s => s.Rows);
}

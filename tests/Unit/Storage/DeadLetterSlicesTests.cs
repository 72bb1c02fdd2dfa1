using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Storage;
using CdcOrleans.Storage.Postgres;
using Xunit;
using static CdcOrleans.Unit.Storage.CheckpointShapes;

namespace CdcOrleans.Unit.Storage;

public class DeadLetterSlicesTests
{
    [Fact]
    public void Slices_are_bounded_in_rows_and_bytes()
    {
        Assert.Equal([2000, 500], Sizes(Enumerable.Range(0, 2500).Select(i => Letter($"{i}", 1))));
        Assert.Equal([1, 1, 2], Sizes([Letter("a", 10 << 20), Letter("b", 30 << 20), Letter("c", 1), Letter("d", 1)]));
        Assert.Empty(Sizes([]));
    }

    [Fact]
    public void They_come_in_the_order_of_their_versions()
    {
        var letters = Slices([Letter("c", 1) with { Version = At(3) }, Letter("a", 1), Letter("b", 1) with { Version = At(2) }]).SelectMany(s => s);
        Assert.Equal(["a", "b", "c"], letters.Select(r => r.Letter.Entity.Key));
    }

    [Fact]
    public void One_too_large_for_a_statement_is_kept_without_its_value_and_says_so()
    {
        var letters = Slices([Letter("a", DeadLetterSlices.MostOfOne), Letter("b", 1)]).SelectMany(s => s).Select(r => r.Letter).ToArray();
        Assert.Equal(["a", "b"], letters.Select(l => l.Entity.Key));
        Assert.Null(letters[0].Value);
        Assert.NotNull(letters[0].Key);
        Assert.Equal("Kept without its value of 268435456 bytes, too large to store. no", letters[0].Error);
        Assert.Equal(("no", 1), (letters[1].Error, letters[1].Value?.Length));
    }

    private static IEnumerable<int> Sizes(IEnumerable<DeadLetter> letters) => Slices(letters).Select(s => s.Count);

    private static IEnumerable<ArraySegment<DeadLetterRow>> Slices(IEnumerable<DeadLetter> letters) =>
        DeadLetterSlices.Of(new Checkpoint("s", 1, [Partition(0, letters: [.. letters])])).Select(s => s.Rows);

    private static DeadLetter Letter(string key, int bytes) => new()
    {
        Entity = new EntityKey("public.orders", key), Version = At(1), Sink = "events", Topic = "t", Key = [1], Value = new byte[bytes], Error = "no",
    };
}

using CdcOrleans.Model.Capture;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Configuration;
using Xunit;

namespace CdcOrleans.Integration.Capture;

/// <summary>Tests that measure what the process allocates, so no other test may run beside them.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class MeasuresMemory
{
    public const string Name = "measures memory";
}

/// <summary>How much memory the chunks of a table need.</summary>
[Collection(MeasuresMemory.Name)]
public sealed class ChunkMemoryTests(CaptureServer server) : IClassFixture<CaptureServer>
{
    [Fact]
    public async Task A_chunk_ends_at_its_bounds_and_huge_values_are_left_out()
    {
        await using var capture = await server.Capture(
            "CREATE TABLE docs (id int PRIMARY KEY, body text, n int); ALTER TABLE docs ALTER body SET STORAGE EXTERNAL",
            s => s with { LargeValues = new LargeValueOptions { Limit = 2_000_000 } });
        await capture.Start();
        await capture.Execute("INSERT INTO docs SELECT n, repeat('x', 1000000), n FROM generate_series(1, 8) n; INSERT INTO docs VALUES (5000, repeat('y', 100000000), 5000), (5001, 'z', 5001)");

        var chunks = new List<TableChunk>();
        string? next = null;
        var before = GC.GetTotalAllocatedBytes();
        do
        {
            var request = new ChunkRequest
            {
                Scope = ChunkExtensions.Scope("public.docs"), After = next, Bounds = new ChunkBounds { Bytes = 3_000_000, Time = TimeSpan.FromMinutes(1) },
            };
            chunks.Add(await capture.Chunks.Read(request, TestContext.Current.CancellationToken));
            next = chunks[^1].Next;
        }
        while (next is not null);
        Assert.InRange(GC.GetTotalAllocatedBytes() - before, 0, 80_000_000);

        Assert.All(chunks, c => Assert.InRange(c.Rows.Sum(r => r.Row.Size), 0, 4_000_100));
        Assert.Equal(["1", "2", "3", "4", "5", "6", "7", "8", "5000", "5001"], chunks.SelectMany(c => c.Rows).Select(r => r.Entity.Key));
        var huge = chunks.ByKey()["5000"];
        Assert.True(huge.HasOmitted);
        var kinds = new List<ColumnKind>();
        foreach (var column in huge.Row)
            kinds.Add(column.Kind);
        Assert.Equal([ColumnKind.Text, ColumnKind.Omitted, ColumnKind.Text], kinds);
    }
}

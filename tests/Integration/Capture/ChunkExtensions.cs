using CdcOrleans.Model.Capture;
using CdcOrleans.Model.Changes;
using Xunit;

namespace CdcOrleans.Integration.Capture;

/// <summary>Reads tables in chunks for tests.</summary>
internal static class ChunkExtensions
{
    /// <summary>Reads a table to its end.</summary>
    public static async Task<List<TableChunk>> ReadAll(
        this CaptureUnderTest capture, string table, int rows = 10_000, Func<TableChunk, Task>? between = null, Func<BackfillScope, BackfillScope>? scope = null)
    {
        var chunks = new List<TableChunk>();
        string? next = null;
        do
        {
            Assert.True(chunks.Count < 10_000);
            chunks.Add(await capture.Chunks.Read(
                new ChunkRequest
                {
                    Scope = Scope(table, scope), After = next, Bounds = new ChunkBounds { Rows = rows, Time = TimeSpan.FromMinutes(1) },
                },
                TestContext.Current.CancellationToken));
            next = chunks[^1].Next;
            if (between is not null)
                await between(chunks[^1]);
        }
        while (next is not null);
        return chunks;
    }

    public static BackfillScope Scope(string table, Func<BackfillScope, BackfillScope>? scope = null)
    {
        var plain = new BackfillScope(table.Split('.')[0], table.Split('.')[1]);
        return scope?.Invoke(plain) ?? plain;
    }

    public static Task<BackfillPlan> Plan(this CaptureUnderTest capture, string table, Func<BackfillScope, BackfillScope>? scope = null) =>
        capture.Chunks.Plan(Scope(table, scope), TestContext.Current.CancellationToken);

    /// <summary>The rows of chunks by key; no key may come twice.</summary>
    public static Dictionary<string, ChunkRow> ByKey(this IEnumerable<TableChunk> chunks) => chunks.SelectMany(c => c.Rows).ToDictionary(r => r.Entity.Key);

    /// <summary>Asserts that rows and changes of the stream are the same: entity, schema and bytes.</summary>
    public static void AssertSame(this List<TableChunk> chunks, IEnumerable<RowChange> creates)
    {
        var rows = chunks.ByKey();
        var changes = creates.ToList();
        Assert.Equal(changes.Select(c => c.Entity.Key).Order(StringComparer.Ordinal), rows.Keys.Order(StringComparer.Ordinal));
        foreach (var change in changes)
        {
            var row = rows[change.Entity.Key];
            Assert.Equal(change.Entity, row.Entity);
            Assert.Equal(CaptureUnderTest.Values(change.After), CaptureUnderTest.Values(row.Row));
            Assert.Equal(change.After.Bytes, row.Row.Bytes);
        }

        foreach (var chunk in chunks)
            Assert.Equal((changes[0].Table.TableId, changes[0].Table.Version), (chunk.Table.TableId, chunk.Table.Version));
    }
}
